// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// check runs `publish check`, the publishing part of the builder's preflight.
func (p *publishing) check(ctx context.Context, path string) int {
	forecast, err := p.forecast(path)
	if err != nil {
		return p.fail(exitMixed, err)
	}
	if forecast == nil {
		fmt.Fprintln(p.std.out, "nothing to check: the settings publish nothing")
		return exitOK
	}
	p.publisher.Patience = time.Second
	outlook := p.publisher.Forecast(ctx, *forecast)
	for _, line := range outlook.Warnings {
		fmt.Fprintln(p.std.out, "Warning: "+line)
	}
	for _, problem := range outlook.Problems {
		fmt.Fprintln(p.std.err, problem)
	}
	if len(outlook.Problems) > 0 {
		return exitMixed
	}
	fmt.Fprintln(p.std.out, "Publishing check passed: "+forecast.Scope())
	return exitOK
}

// forecast returns what the settings in path would publish after a build, or what
// the plan would publish with the template in path.
func (p *publishing) forecast(path string) (*publish.Forecast, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if p.plan != "" {
		spec, err := p.spec()
		if err != nil {
			return nil, err
		}
		plan, err := publish.Compute(*spec, text)
		if err != nil {
			return nil, err
		}
		return &publish.Forecast{Plan: plan, Named: spec.Version != ""}, nil
	}
	settings, err := cfnsettings.Read(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := settings.CheckWritable(); err != nil {
		return nil, err
	}
	return settings.Forecast(cfnsettings.Build{Name: p.buildName, Architecture: p.architecture, Regions: p.regions})
}
