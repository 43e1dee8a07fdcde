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
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// creation creates the stacks of some targets, which have the same overrides, in
// some regions.
type creation struct {
	regions  []string
	targets  []string // accounts or organizational units
	accounts []string // those of the units that filter includes or excludes
	filter   types.AccountFilterType
	values   map[string]string // overrides
}

// creations plans the creation of missing stacks. Regions that lack the same
// targets share an operation.
func (s *Set) creations(regions []string, lack map[string][]string) ([]creation, error) {
	found := map[string]creation{}
	add := func(region string, c creation) {
		key := fmt.Sprintf("%s %s %q %q", strings.Join(c.targets, ","), c.filter, c.accounts, pairs(c.values))
		c.regions = append(found[key].regions, region)
		found[key] = c
	}
	for _, region := range regions {
		var parts []creation
		var err error
		if len(s.OrganizationalUnits) > 0 {
			parts, err = s.unitCreations(region, lack[region])
		} else {
			parts, err = s.accountCreations(region, lack[region])
		}
		if err != nil {
			return nil, err
		}
		for _, c := range parts {
			add(region, c)
		}
	}
	var all []creation
	for _, key := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[key])
	}
	return all, nil
}

// accountCreations groups accounts by their overrides.
func (s *Set) accountCreations(region string, accounts []string) ([]creation, error) {
	same := map[string]creation{}
	for _, account := range accounts {
		values, known := s.overridesOf(region, account)
		if !known {
			return nil, s.unknownOverrides(region, account)
		}
		key := pairs(values)
		same[key] = creation{targets: append(same[key].targets, account), values: values}
	}
	var all []creation
	for _, key := range slices.Sorted(maps.Keys(same)) {
		all = append(all, same[key])
	}
	return all, nil
}

// unitCreations separates the accounts of the units that have overrides of their
// own from the others.
func (s *Set) unitCreations(region string, units []string) ([]creation, error) {
	if len(units) == 0 {
		return nil, nil
	}
	values, known := s.overridesOf(region, "")
	rest := creation{targets: units, values: values}
	var named []string
	for _, o := range s.Overrides {
		named = append(named, o.Accounts...)
	}
	same := map[string]creation{}
	for _, account := range unique(named) {
		own, ok := s.overridesOf(region, account)
		if known = known && ok; pairs(own) == pairs(values) {
			continue
		}
		rest.accounts, rest.filter = append(rest.accounts, account), types.AccountFilterTypeDifference
		key := pairs(own)
		same[key] = creation{targets: units, values: own, accounts: append(same[key].accounts, account), filter: types.AccountFilterTypeIntersection}
	}
	if !known {
		return nil, s.unknownOverrides(region, strings.Join(units, ", "))
	}
	all := []creation{rest}
	for _, key := range slices.Sorted(maps.Keys(same)) {
		all = append(all, same[key])
	}
	return all, nil
}

// unknownOverrides is returned if a stack is missing whose overrides only the
// configuration has.
func (s *Set) unknownOverrides(region, target string) error {
	return fmt.Errorf("stack set %s: %s has no stack in %s, and the values of parameter_overrides are not recorded, because they may be secret; publish again with the values, or create the stack first", s.Name, target, region)
}

func pairs(values map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%q=%q;", name, values[name])
	}
	return b.String()
}

// create creates instances. If the set still has its previous template, overrides
// of its new parameters follow after the update.
func (s *Set) create(ctx context.Context, c creation, updated bool) error {
	in := &cloudformation.CreateStackInstancesInput{
		StackSetName: &s.Name, Regions: c.regions, CallAs: types.CallAs(s.CallAs), OperationPreferences: s.preferences(c.regions),
	}
	if len(s.OrganizationalUnits) > 0 {
		in.DeploymentTargets = &types.DeploymentTargets{OrganizationalUnitIds: c.targets, Accounts: c.accounts, AccountFilterType: c.filter}
	} else {
		in.Accounts = c.targets
	}
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		if updated || s.has(name) {
			in.ParameterOverrides = append(in.ParameterOverrides, types.Parameter{ParameterKey: aws.String(name), ParameterValue: aws.String(c.values[name])})
		}
	}
	with := ""
	if names := keysOf(in.ParameterOverrides); len(names) > 0 {
		with = ", with overrides of " + strings.Join(names, ", ")
	}
	s.call.Sayf("stack set %s: creating instances for %s in %s%s", s.Name, c.describe(), strings.Join(c.regions, ", "), with)
	return s.operate(ctx, "cloudformation:CreateStackInstances", func(id *string) (*string, error) {
		in.OperationId = id
		out, err := s.api.CreateStackInstances(ctx, in)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
}

// describe names the targets for display.
func (c creation) describe() string {
	targets := strings.Join(c.targets, ", ")
	switch c.filter {
	case types.AccountFilterTypeIntersection:
		return strings.Join(c.accounts, ", ") + " of " + targets
	case types.AccountFilterTypeDifference:
		return targets + " without " + strings.Join(c.accounts, ", ")
	}
	return targets
}
