// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// check runs `publish check`, the publishing part of the builder's preflight.
func (p *publishing) check(ctx context.Context, path string) int {
	out := publishForecast{Warnings: []string{}, Problems: []string{}}
	forecast, err := p.forecast(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.fail(exitError, err)
	case err != nil:
		out.Problems = append(out.Problems, err.Error())
	case forecast != nil:
		p.publisher.Patience = time.Second
		outlook := p.publisher.Forecast(ctx, *forecast)
		out.Scope = forecast.Scope()
		out.Warnings = append(out.Warnings, outlook.Warnings...)
		for _, problem := range outlook.Problems {
			out.Problems = append(out.Problems, problem.Error())
		}
	}
	code := exitOK
	if len(out.Problems) > 0 {
		code = exitProblem
	}
	if p.json {
		return p.printJSON(code, out)
	}
	for _, line := range out.Warnings {
		fmt.Fprintln(p.err, "Warning: "+line)
	}
	for _, line := range out.Problems {
		fmt.Fprintln(p.out, line)
	}
	switch {
	case code != exitOK:
	case forecast == nil:
		fmt.Fprintln(p.out, "nothing to check: the settings publish nothing")
	default:
		fmt.Fprintln(p.out, "Publishing check passed: "+out.Scope)
	}
	return code
}

// publishForecast is the output of `publish check -o json`.
type publishForecast struct {
	Scope    string   `json:"scope"` // empty if nothing would be published
	Warnings []string `json:"warnings"`
	Problems []string `json:"problems"`
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
