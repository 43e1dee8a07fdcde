// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// DryRun is a call that the build will make, made without effect: EC2 answers
// whether it is allowed, and nothing else
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html).
// Only calls whose resources exist already are worth it: with a made-up
// instance, a policy that looks at tags refuses what it would allow later.
type DryRun struct {
	Action  string // the IAM action, such as ec2:CopyImage
	Region  string
	Instead string // how the build could do without, if it could
	// OfImage says that the call needs the source image, and is not made
	// without one.
	OfImage bool
	Call    func(context.Context, Known) error
}

// Known is what the checks have found when a dry run is made.
type Known struct {
	Image ec2types.Image // the source image, zero where it is not known
	VPC   string         // empty for the default one
}

// outcome is what a dry run has shown.
type outcome struct {
	DryRun
	rung *launch.Rung // of a launch
	err  error
}

// permissions makes the dry runs, all at once.
func (p *plan) permissions(ctx context.Context, n *notes) {
	var known Known
	var sourceErr error
	if p.Launch != nil {
		known.Image, sourceErr = p.source()
		if net, err := p.network(); err == nil {
			known.VPC = net.vpc
		}
	}
	var runs []outcome
	good, _ := p.regions()
	for _, call := range p.Calls {
		if call.OfImage && sourceErr != nil || call.Region != p.BuildRegion && !slices.Contains(good, call.Region) {
			continue
		}
		runs = append(runs, outcome{DryRun: call})
	}
	if p.Launch != nil && sourceErr == nil {
		for _, rung := range firstPlaces(p.rungs()) {
			runs = append(runs, outcome{rung: &rung, DryRun: DryRun{
				Action: "ec2:RunInstances", Region: p.BuildRegion,
				Call: func(ctx context.Context, known Known) error { return p.Launch.DryRun(ctx, known.Image, rung) },
			}})
		}
	}
	all(len(runs), func(i int) { runs[i].err = runs[i].Call(ctx, known) })
	for _, run := range runs {
		if err := run.err; err != nil && !ec2api.IsDryRunPassed(err) && !ec2api.IsUnauthorized(err) {
			log.Printf("[INFO] a dry run of %s in %s says nothing of permissions: %s", run.Action, run.Region, err)
		}
	}
	n.find(judgeDryRuns(runs)...)
}

// firstPlaces are the ways to launch that policies may tell apart: one for
// each type and market.
func firstPlaces(rungs []launch.Rung) (out []launch.Rung) {
	for _, r := range rungs {
		if !slices.ContainsFunc(out, func(have launch.Rung) bool { return have.Type == r.Type && have.Market == r.Market }) {
			out = append(out, r)
		}
	}
	return out
}

// judgeDryRuns makes one finding of all calls that lack the same action.
func judgeDryRuns(runs []outcome) (findings []Finding) {
	type lack struct {
		refused         ec2api.Refused
		calls, regions  []string
		rungs, insteads []string
	}
	var order []string
	lacks := map[string]*lack{}
	for _, run := range runs {
		if !ec2api.IsUnauthorized(run.err) {
			continue
		}
		why := ec2api.RefusedBy(run.err)
		if why.Action == "" {
			why.Action = run.Action
		}
		key := why.Action
		if run.rung != nil {
			key += " launch"
		}
		l := lacks[key]
		if l == nil {
			l = &lack{refused: why}
			lacks[key], order = l, append(order, key)
		}
		l.calls, l.regions = append(l.calls, run.Action), append(l.regions, run.Region)
		if run.Instead != "" {
			l.insteads = append(l.insteads, run.Instead)
		}
		if run.rung != nil {
			l.rungs = append(l.rungs, run.rung.Type+", "+string(run.rung.Market))
		}
	}
	for _, key := range order {
		l := lacks[key]
		f := Finding{
			Attribute: "permissions",
			Value:     fmt.Sprintf("%s is not allowed in %s", l.refused.Action, strings.Join(distinct(l.regions), ", ")),
			Remedy:    "allow " + Statement([]string{l.refused.Action}),
		}
		if calls := distinct(l.calls); len(calls) > 1 || calls[0] != l.refused.Action {
			f.Value += ", which " + strings.Join(calls, " and ") + " needs"
		}
		if l.refused.Resource != "" {
			f.Value += ", on " + l.refused.Resource
		}
		if l.refused.Reason != "" {
			f.Value += " (" + l.refused.Reason + ")"
		}
		if insteads := distinct(l.insteads); len(insteads) > 0 {
			f.Remedy += ", or " + strings.Join(insteads, ", or ")
		}
		if len(l.rungs) > 0 {
			denied := distinct(l.rungs)
			f.Value += ", for " + strings.Join(denied, "; ")
			f.hits, f.stops = func(r launch.Rung) bool { return slices.Contains(denied, r.Type+", "+string(r.Market)) }, true
		}
		findings = append(findings, f)
	}
	return findings
}
