// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// rollback is `publish rollback`.
func (p *publishing) rollback(ctx context.Context, uri string) int {
	s, code := p.state(ctx, uri)
	if s == nil {
		return code
	}
	plan, err := p.publisher.RollbackPlan(ctx, s, p.to)
	if err != nil {
		return p.fail(exitError, err)
	}
	fmt.Fprintf(p.std.out, "latest is %s, publication %d\n", s.Latest.Version, s.Latest.Number)
	fmt.Fprintln(p.std.out, strings.Join(plan.Lines(), "\n"))
	if p.dryRun {
		return exitOK
	}
	if !p.agreed(fmt.Sprintf("Go back to %s?", plan.Version)) {
		fmt.Fprintln(p.std.out, "Nothing was done; -yes does it.")
		return exitMixed
	}
	if err := p.publisher.Publish(ctx, plan); err != nil {
		return p.fail(exitError, fmt.Errorf("%w\nrun it again with -to %s to go on", err, plan.Version))
	}
	return exitOK
}

// publish is `publish run`: a plan's file says how, and the template what.
func (p *publishing) publish(ctx context.Context, template string) int {
	text, err := os.ReadFile(p.plan)
	if err != nil {
		return p.fail(exitError, err)
	}
	var spec publish.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return p.fail(exitError, fmt.Errorf("%s: %w", p.plan, err))
	}
	body, err := os.ReadFile(template)
	if err != nil {
		return p.fail(exitError, err)
	}
	if spec.StackSet != nil {
		spec.StackSet.Parameters = p.parameters
	}
	plan, err := publish.Compute(spec, body)
	if err != nil {
		return p.fail(exitError, err)
	}
	fmt.Fprintln(p.std.out, strings.Join(plan.Lines(), "\n"))
	if p.dryRun {
		return exitOK
	}
	if err := p.publisher.Publish(ctx, plan); err != nil {
		return p.fail(exitError, err)
	}
	return exitOK
}
