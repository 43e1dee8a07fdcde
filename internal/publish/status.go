// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// Kinds of findings.
const (
	kindLatest    = "latest"
	kindParameter = "parameter"
	kindStackSet  = "stack set"
)

// Finding compares the actual and the expected state of one item.
type Finding struct {
	Kind   string `json:"kind"` // latest, parameter, stack set, instances or override
	Region string `json:"region"`
	Name   string `json:"name"`
	Is     string `json:"is"`
	Want   string `json:"want"`
}

// OK reports whether the state is as expected.
func (f Finding) OK() bool { return f.Is == f.Want }

// Check compares everything that was published with the first region. It changes
// nothing.
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
				is = "other content with the name of " + is
			}
		}
		latest[i] = Finding{kindLatest, at.Region, at.LatestURL, is, fmt.Sprintf("%s, publication %d", s.Latest.Version, s.Latest.Number)}
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
			parameters[i], errs[i] = Finding{kindParameter, q.Region, q.Name, is, q.Image}, err
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", plan.Parameters[i].Region, plan.Parameters[i].Name, err)
		}
	}
	all := slices.Concat(latest, parameters, r.formerFindings(ctx, s.Record.Former, s.Latest.Number))
	if spec.StackSet == nil {
		return all, nil
	}
	set, err := r.stackSetFindings(ctx)
	return append(all, set...), err
}

// stackSetFindings returns the findings for the set and its instances, by region.
func (r *run) stackSetFindings(ctx context.Context) ([]Finding, error) {
	s := &stackSetState{StackSet: r.plan.StackSet, api: r.Clients.CloudFormation(r.plan.StackSet.Region)}
	r.set = s
	var err error
	if s.before, err = s.describe(ctx); err != nil {
		return nil, err
	}
	const same = "the template of latest"
	if s.before == nil {
		return []Finding{{kindStackSet, s.Region, s.Name, "absent", same}}, nil
	}
	is := same
	if !alike(aws.ToString(s.before.TemplateBody), string(r.plan.Body)) {
		is = "another template"
	}
	list := []Finding{{kindStackSet, s.Region, s.Name, is, same}}
	there, err := r.instances(ctx)
	if err != nil {
		return nil, err
	}
	for _, region := range s.Regions {
		list = append(list, s.instancesFinding(region, there))
	}
	list = append(list, s.otherInstances(there)...)
	kept, err := r.overrides(ctx, s.before, there)
	if awsclient.IsUnauthorized(err) {
		return append(list, Finding{"override", s.Region, s.Name, "unknown: cloudformation:DescribeStackInstance is not allowed", noOverride}), nil
	}
	for _, o := range kept {
		var is []string
		if len(o.parameters) > 0 {
			is = append(is, "overrides "+strings.Join(o.parameters, ", "))
		}
		if len(o.absent) > 0 {
			is = append(is, "does not override "+strings.Join(o.absent, ", "))
		}
		list = append(list, Finding{"override", o.region, s.Name + ", account " + o.account, strings.Join(is, "; "), noOverride})
	}
	return list, err
}

// otherInstances returns a finding for each region with instances that are not
// configured and not current: publishing does not update them.
func (s *stackSetState) otherInstances(there []types.StackInstanceSummary) (list []Finding) {
	behind := map[string][]string{} // region: accounts and states
	for _, i := range there {
		region := aws.ToString(i.Region)
		if s.configured(i) || i.Status == types.StackInstanceStatusCurrent {
			continue
		}
		behind[region] = append(behind[region], fmt.Sprintf("%s %s", aws.ToString(i.Account), i.Status))
	}
	for _, region := range slices.Sorted(maps.Keys(behind)) {
		slices.Sort(behind[region])
		list = append(list, Finding{"instances", region, s.Name + ", not configured", few(behind[region]), "CURRENT, or no instance"})
	}
	return list
}

// configured reports whether an instance is in the configured targets and regions.
func (s *stackSetState) configured(i types.StackInstanceSummary) bool {
	return s.wants(i) && slices.Contains(s.Regions, aws.ToString(i.Region))
}

// few joins the first ten elements of a list, and adds the number of the others.
func few(list []string) string {
	const most = 10
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// noOverride is the expected state of an instance.
const noOverride = "the stack set's parameters, and the configured overrides"

// instancesFinding counts the configured instances of a region, and names the
// targets that lack one.
func (s *stackSetState) instancesFinding(region string, there []types.StackInstanceSummary) Finding {
	counts, have := map[string]int{}, map[string]bool{}
	total := 0
	for _, i := range there {
		if aws.ToString(i.Region) != region || !s.wants(i) {
			continue
		}
		total++
		counts[string(i.Status)]++
		have[aws.ToString(i.Account)], have[aws.ToString(i.OrganizationalUnitId)] = true, true
	}
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[status], status))
	}
	for _, target := range slices.Concat(s.Accounts, s.OrganizationalUnits) {
		if !have[target] {
			total++
			parts = append(parts, "none of "+target)
		}
	}
	return Finding{"instances", region, s.Name, strings.Join(parts, ", "), fmt.Sprintf("%d CURRENT", total)}
}
