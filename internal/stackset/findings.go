// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shortlist"
)

// Finding compares the actual and the expected state of a part of a set.
type Finding struct {
	Kind   string // Kind, instances or override
	Region string
	Name   string
	Is     string
	Want   string
}

// Kind is the kind of a finding about the set itself.
const Kind = "stack set"

// Findings compares the set with a template that was rolled out to it, and its instances
// with the configuration, by region. It changes nothing.
func (s *Set) Findings(ctx context.Context, body []byte) ([]Finding, error) {
	var err error
	if s.before, err = s.describe(ctx); err != nil {
		return nil, err
	}
	const same = "the template of latest"
	if s.before == nil {
		return []Finding{{Kind, s.Region, s.Name, "absent", same}}, nil
	}
	is := same
	if !Alike(aws.ToString(s.before.TemplateBody), string(body)) {
		is = "another template"
	}
	list := []Finding{{Kind, s.Region, s.Name, is, same}}
	there, err := s.instances(ctx)
	if err != nil {
		return nil, err
	}
	for _, region := range s.Regions {
		list = append(list, s.instancesFinding(region, there))
	}
	list = append(list, s.otherInstances(there)...)
	kept, err := s.overrides(ctx, s.before, there)
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
func (s *Set) otherInstances(there []types.StackInstanceSummary) (list []Finding) {
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
		list = append(list, Finding{"instances", region, s.Name + ", not configured", shortlist.Join(behind[region]), "CURRENT, or no instance"})
	}
	return list
}

// noOverride is the expected state of an instance.
const noOverride = "the stack set's parameters, and the configured overrides"

// instancesFinding counts the configured instances of a region, and names the
// targets that lack one.
func (s *Set) instancesFinding(region string, there []types.StackInstanceSummary) Finding {
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
