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

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// DryRun is a request of the build, made as a dry run: EC2 returns whether it is
// allowed and, for some requests, whether its parameters are valid
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html).
// Use it only for requests whose resources exist already: a policy with a
// condition on tags would deny a request for an invented instance.
type DryRun struct {
	Action  string // the IAM action, such as ec2:CopyImage
	Region  string
	Instead string // how to avoid the request, if possible
	// OfImage is true if the request needs the source image. It is skipped
	// without one.
	OfImage bool
	Call    func(context.Context, Known) error
}

// Known holds the results of earlier checks that a dry run uses.
type Known struct {
	Image ec2types.Image // the source image; zero if unknown
	VPC   string         // empty for the default VPC
}

// outcome is the result of a dry run.
type outcome struct {
	DryRun
	attempt *launch.Attempt // of a launch
	err     error
}

// permissions makes the dry runs concurrently.
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
		for _, attempt := range firstPlaces(p.attempts()) {
			runs = append(runs, outcome{attempt: &attempt, DryRun: DryRun{
				Action: "ec2:RunInstances", Region: p.BuildRegion,
				Call: func(ctx context.Context, known Known) error { return p.Launch.DryRun(ctx, known.Image, attempt) },
			}})
		}
	}
	all(len(runs), func(i int) { runs[i].err = runs[i].Call(ctx, known) })
	n.find(judgeDryRuns(runs)...)
	for _, run := range runs {
		n.find(judgeRequest(run)...)
	}
}

// judgeRequest judges an error that is not about permissions. A missing or invalid
// parameter of the launch would fail the build later in the same way. Other client
// errors are warnings: a dry run has no key pair and no security group yet. A copy of
// the source image, which may not be shared, proves nothing about a copy of the new
// image; nor does a throttle or a server error.
func judgeRequest(run outcome) []Finding {
	err := run.err
	switch {
	case err == nil, awsclient.IsDryRunPassed(err), awsclient.IsUnauthorized(err), awsclient.IsBadCredentials(err):
		return nil
	case !awsclient.IsBadRequest(err), run.OfImage && awsclient.IsOfImage(err):
		log.Printf("[INFO] the dry run of %s in %s is inconclusive: %s", run.Action, run.Region, err)
		return nil
	}
	f := Finding{
		Attribute: run.Action, Value: fmt.Sprintf("a dry run in %s failed (%s)", run.Region, awsclient.Plain(err)), echo: true,
		Warning: !awsclient.IsIncomplete(err) && (run.attempt == nil || !awsclient.IsBadParameter(err)),
	}
	if awsclient.Code(err) == "VPCIdNotSpecified" || awsclient.Code(err) == "DefaultVpcDoesNotExist" {
		f.Attribute, f.Remedy = "vpc_id, subnet_id", "set subnet_id, as the region has no default VPC"
	}
	if run.attempt != nil && !f.Warning {
		attempt := *run.attempt
		f.Value += fmt.Sprintf(", for %s, %s", attempt.Type, attempt.Market)
		f.hits = func(r launch.Attempt) bool { return r.Type == attempt.Type && r.Market == attempt.Market }
		f.stops = true // EC2 refuses the launch for another reason than capacity
	}
	return []Finding{f}
}

// firstPlaces returns the launch attempts that policies may distinguish: one for
// each type and market.
func firstPlaces(attempts []launch.Attempt) (out []launch.Attempt) {
	for _, r := range attempts {
		if !slices.ContainsFunc(out, func(have launch.Attempt) bool { return have.Type == r.Type && have.Market == r.Market }) {
			out = append(out, r)
		}
	}
	return out
}

// judgeDryRuns merges the dry runs that lack the same action into one finding.
func judgeDryRuns(runs []outcome) (findings []Finding) {
	type lack struct {
		refused            awsclient.Refused
		calls, regions     []string
		attempts, insteads []string
	}
	var order []string
	lacks := map[string]*lack{}
	for _, run := range runs {
		if !awsclient.IsUnauthorized(run.err) {
			continue
		}
		why := awsclient.RefusedBy(run.err)
		if why.Action == "" {
			why.Action = run.Action
		}
		key := why.Action
		if run.attempt != nil {
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
		if run.attempt != nil {
			l.attempts = append(l.attempts, run.attempt.Type+", "+string(run.attempt.Market))
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
			f.Value += ", but required by " + strings.Join(calls, " and ")
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
		if len(l.attempts) > 0 {
			denied := distinct(l.attempts)
			f.Value += ", for " + strings.Join(denied, "; ")
			f.hits, f.stops = func(r launch.Attempt) bool { return slices.Contains(denied, r.Type+", "+string(r.Market)) }, true
		}
		findings = append(findings, f)
	}
	return findings
}
