// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// rollback runs `publish rollback`.
func (p *publishing) rollback(ctx context.Context, uri string) int {
	s, code := p.state(ctx, uri)
	if s == nil {
		return code
	}
	plan, err := p.publisher.RollbackPlan(ctx, s, p.to)
	if err != nil {
		return p.fail(exitError, err)
	}
	fmt.Fprintf(p.out, "latest is %s, publication %d\n", s.Latest.Version, s.Latest.Number)
	fmt.Fprintln(p.out, strings.Join(plan.Lines(), "\n"))
	if p.dryRun {
		return exitOK
	}
	if !p.yes && !p.agreed(fmt.Sprintf("Roll back to %s?", plan.Version)) {
		fmt.Fprintln(p.err, "Nothing was changed; confirm with -yes.")
		return exitUnconfirmed
	}
	if err := p.publisher.Publish(ctx, plan); err != nil {
		return p.fail(exitError, fmt.Errorf("%w\nto resume the rollback:\n%s", err, p.again("rollback", " -to "+plan.Version, uri)))
	}
	return exitOK
}

// publish runs `publish run`: it publishes a template with the options of a plan file.
func (p *publishing) publish(ctx context.Context, template string) int {
	spec, err := p.spec()
	if err != nil {
		return p.fail(exitError, err)
	}
	body, err := os.ReadFile(template)
	if err != nil {
		return p.fail(exitError, err)
	}
	plan, err := publish.Compute(*spec, body)
	if err != nil {
		return p.fail(exitError, err)
	}
	fmt.Fprintln(p.out, strings.Join(plan.Lines(), "\n"))
	if p.dryRun {
		return exitOK
	}
	if err := p.publisher.Publish(ctx, plan); err != nil {
		return p.fail(exitError, err)
	}
	return exitOK
}

// spec reads the plan file.
func (p *publishing) spec() (*publish.Spec, error) {
	text, err := os.ReadFile(p.plan)
	if err != nil {
		return nil, err
	}
	spec := new(publish.Spec)
	if err := json.Unmarshal(text, spec); err != nil {
		return nil, fmt.Errorf("%s: %w", p.plan, err)
	}
	if spec.StackSet != nil {
		spec.StackSet.Parameters = p.parameters
		if err := p.override(spec.StackSet); err != nil {
			return nil, err
		}
	}
	return spec, nil
}

// override replaces the overrides of the plan, which have no values, by those of the
// command line.
func (p *publishing) override(set *stackset.Config) error {
	var missing []string
	for _, planned := range set.Overrides {
		for _, name := range planned.Names {
			given := slices.ContainsFunc(p.overrides, func(o stackset.Override) bool { return slices.Contains(o.Names, name) })
			if !given && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: has overrides of %s without their values; pass each with -parameter-override REGION/ACCOUNT/NAME=VALUE", p.plan, strings.Join(missing, ", "))
	}
	set.Overrides = p.overrides
	return nil
}
