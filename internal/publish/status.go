// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Finding is what one thing is, and what it is to be.
type Finding struct {
	Kind   string `json:"kind"` // latest, parameter, stack set or instances
	Region string `json:"region"`
	Name   string `json:"name"`
	Is     string `json:"is"`
	Want   string `json:"want"`
}

// OK says that it is as it is to be.
func (f Finding) OK() bool { return f.Is == f.Want }

// Check compares everything that was published with what the region that
// decides has. It changes nothing.
func (p *Publisher) Check(ctx context.Context, s *State) ([]Finding, error) {
	spec := s.Record.Spec
	spec.Version = s.Latest.Version
	plan, err := Compute(spec, s.Latest.Body)
	if err != nil {
		return nil, err
	}
	r := &run{Publisher: p, plan: plan}
	latest := make([]Finding, len(plan.Places))
	if err := r.everywhere(func(i int, at Place) error {
		l, err := p.latest(ctx, at, spec.S3.Owner)
		is := "absent"
		if l.Found {
			is = fmt.Sprintf("%s, publication %d", l.Version, l.Number)
			if l.SHA256 != plan.SHA256 && l.Version == plan.Version {
				is = "other content under the name of " + is
			}
		}
		latest[i] = Finding{"latest", at.Region, at.LatestURL, is, fmt.Sprintf("%s, publication %d", s.Latest.Version, s.Latest.Number)}
		return err
	}); err != nil {
		return nil, err
	}
	parameters := make([]Finding, len(plan.Parameters))
	errs := make([]error, len(plan.Parameters))
	var wg sync.WaitGroup
	for i, q := range plan.Parameters {
		wg.Go(func() {
			now, err := getParameter(ctx, p.Clients.SSM(q.Region), q)
			is := "absent"
			if now != nil {
				is = aws.ToString(now.Value)
			}
			parameters[i], errs[i] = Finding{"parameter", q.Region, q.Name, is, q.Image}, err
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", plan.Parameters[i].Region, plan.Parameters[i].Name, err)
		}
	}
	all := slices.Concat(latest, parameters)
	if spec.StackSet == nil {
		return all, nil
	}
	set, err := r.stackSetFindings(ctx)
	return append(all, set...), err
}

// stackSetFindings tells of the set and of its instances, by region.
func (r *run) stackSetFindings(ctx context.Context) ([]Finding, error) {
	s := &stackSetState{StackSet: r.plan.StackSet, api: r.Clients.CloudFormation(r.plan.StackSet.Region)}
	r.set = s
	var err error
	if s.before, err = s.describe(ctx); err != nil {
		return nil, err
	}
	const same = "the template of latest"
	if s.before == nil {
		return []Finding{{"stack set", s.Region, s.Name, "absent", same}}, nil
	}
	is := same
	if !sameText(aws.ToString(s.before.TemplateBody), string(r.plan.Body)) {
		is = "another template"
	}
	list := []Finding{{"stack set", s.Region, s.Name, is, same}}
	there, err := r.instances(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]map[string]int{}
	for _, i := range there {
		region := aws.ToString(i.Region)
		if counts[region] == nil {
			counts[region] = map[string]int{}
		}
		counts[region][string(i.Status)]++
	}
	for _, region := range s.Regions {
		total := 0
		var parts []string
		for _, status := range slices.Sorted(maps.Keys(counts[region])) {
			total += counts[region][status]
			parts = append(parts, fmt.Sprintf("%d %s", counts[region][status], status))
		}
		list = append(list, Finding{"instances", region, s.Name, listOr(parts, "absent"), fmt.Sprintf("%d CURRENT", max(total, len(s.Accounts), 1))})
	}
	return list, nil
}
