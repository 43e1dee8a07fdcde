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

// overrideChange is a change of the overrides of one stack.
type overrideChange struct {
	on     types.StackInstanceSummary
	before []types.Parameter
	list   []types.Parameter // as in the request, complete
}

// setOverrides gives the stacks of some regions the configured overrides. It resets
// parameters that only an earlier publication overrides, and keeps the overrides of
// others.
//
// It runs before the update of the stacks, so that a stack that fails with its old
// values does not fail again. If the template changes, it runs after the update too:
// CloudFormation accepts an override only after the stack has the parameter.
func (s *Set) setOverrides(ctx context.Context, regions []string, updated bool) error {
	if len(s.rollout.Overridden) == 0 {
		return nil
	}
	there, err := s.instances(ctx)
	if err != nil {
		return err
	}
	stacks, err := s.readOverrides(ctx, slices.DeleteFunc(there, func(i types.StackInstanceSummary) bool {
		return !s.wants(i) || !slices.Contains(regions, aws.ToString(i.Region)) || i.Status == types.StackInstanceStatusInoperable
	}))
	if err != nil {
		return err
	}
	var changes []overrideChange
	for _, stack := range stacks {
		values, known := s.overridesOf(aws.ToString(stack.Region), aws.ToString(stack.Account))
		if !known {
			continue // a rollback keeps the values
		}
		if list, differs := s.overrideList(values, stack.overrides, s.rollout.Overridden, updated); differs {
			changes = append(changes, overrideChange{stack.StackInstanceSummary, stack.overrides, list})
		}
	}
	s.changedOverrides = append(s.changedOverrides, changes...)
	return s.changeOverrides(ctx, changes)
}

// overrideList returns the overrides of a stack for a request before or after its
// update, and whether they differ from those that it has. A hidden value cannot be
// compared, so it is sent, once.
func (s *Set) overrideList(values map[string]string, has []types.Parameter, ours []string, updated bool) (list []types.Parameter, differs bool) {
	now := map[string]string{}
	for _, p := range has {
		now[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		old := s.has(name) // in the template before the update
		if !updated && !old {
			continue
		}
		list = append(list, types.Parameter{ParameterKey: aws.String(name), ParameterValue: aws.String(values[name])})
		value, ok := now[name]
		switch {
		case !ok:
			differs = true
		case value == hidden:
			differs = differs || !updated || !old
		default:
			differs = differs || value != values[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		_, configured := values[name]
		switch {
		case configured:
		case slices.Contains(ours, name) && (updated || s.declares(name)):
			differs = true // omitted, which resets it
		case updated && s.declares(name), !updated && s.has(name):
			list = append(list, types.Parameter{ParameterKey: aws.String(name), UsePreviousValue: aws.Bool(true)})
		}
	}
	return list, differs
}

// declares reports whether the plan's template has a parameter.
func (s *Set) declares(name string) bool {
	return slices.ContainsFunc(s.takes, func(p types.TemplateParameter) bool { return aws.ToString(p.ParameterKey) == name })
}

// changeOverrides carries out changes. Stacks with the same overrides share an
// operation, as far as each account has a stack in each region.
func (s *Set) changeOverrides(ctx context.Context, changes []overrideChange) error {
	lists, stacks := map[string][]types.Parameter{}, map[string][]types.StackInstanceSummary{}
	for _, c := range changes {
		key := signature(c.list)
		lists[key], stacks[key] = c.list, append(stacks[key], c.on)
	}
	for _, key := range slices.Sorted(maps.Keys(lists)) {
		for _, b := range accountBlocks(stacks[key]) {
			if err := s.updateInstances(ctx, b, lists[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// signature identifies a list of parameters.
func signature(list []types.Parameter) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%q=%q,%t;", aws.ToString(p.ParameterKey), aws.ToString(p.ParameterValue), aws.ToBool(p.UsePreviousValue))
	}
	return b.String()
}

// accountBlock is a group of accounts that have stacks in the same regions.
type accountBlock struct{ regions, accounts, units []string }

// accountBlocks groups the regions that have stacks of the same accounts.
func accountBlocks(list []types.StackInstanceSummary) []accountBlock {
	in, units := map[string][]string{}, map[string][]string{} // region: accounts; account: units
	for _, i := range list {
		region, account := aws.ToString(i.Region), aws.ToString(i.Account)
		in[region] = append(in[region], account)
		if i.OrganizationalUnitId != nil {
			units[account] = append(units[account], *i.OrganizationalUnitId)
		}
	}
	var all []accountBlock
	for _, b := range grouped(in) {
		a := accountBlock{regions: b.regions, accounts: b.targets}
		for _, account := range b.targets {
			a.units = append(a.units, units[account]...)
		}
		a.units = unique(a.units)
		all = append(all, a)
	}
	return all
}

// updateInstances replaces the overrides of some stacks.
func (s *Set) updateInstances(ctx context.Context, b accountBlock, list []types.Parameter) error {
	in := &cloudformation.UpdateStackInstancesInput{
		StackSetName: &s.Name, Regions: b.regions, CallAs: types.CallAs(s.CallAs), OperationPreferences: s.preferences(b.regions),
		ParameterOverrides: append([]types.Parameter{}, list...), // not nil: an empty list removes all overrides
	}
	if len(s.OrganizationalUnits) > 0 {
		in.DeploymentTargets = &types.DeploymentTargets{
			OrganizationalUnitIds: b.units, Accounts: b.accounts, AccountFilterType: types.AccountFilterTypeIntersection,
		}
	} else {
		in.Accounts = b.accounts
	}
	s.call.Sayf("stack set %s: setting the parameter overrides of %s in %s: %s", s.Name, strings.Join(b.accounts, ", "), strings.Join(b.regions, ", "), listOr(keysOf(list), "none"))
	return s.operate(ctx, "cloudformation:UpdateStackInstances", func(id *string) (*string, error) {
		in.OperationId = id
		out, err := s.api.UpdateStackInstances(ctx, in)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
}

func keysOf(list []types.Parameter) (names []string) {
	for _, p := range list {
		names = append(names, aws.ToString(p.ParameterKey))
	}
	return names
}

// restoreOverrides gives the stacks the overrides that they had before this run. Those
// whose values CloudFormation hides keep the values that were sent last.
func (s *Set) restoreOverrides(ctx context.Context, updated bool) error {
	there := s.has
	if updated {
		there = s.declares
	}
	var undo []overrideChange
	for _, c := range s.changedOverrides {
		i := slices.IndexFunc(undo, func(u overrideChange) bool { return sameStack(u.on, c.on) })
		if i < 0 {
			i, undo = len(undo), append(undo, overrideChange{on: c.on, before: c.before})
		}
		undo[i].list = c.list // the last one sent
	}
	for i, c := range undo {
		sent := keysOf(c.list)
		undo[i].list = nil
		for _, p := range c.before {
			switch name := aws.ToString(p.ParameterKey); {
			case !there(name):
			case aws.ToString(p.ParameterValue) != hidden:
				undo[i].list = append(undo[i].list, types.Parameter{ParameterKey: p.ParameterKey, ParameterValue: p.ParameterValue})
			case slices.Contains(sent, name):
				undo[i].list = append(undo[i].list, types.Parameter{ParameterKey: p.ParameterKey, UsePreviousValue: aws.Bool(true)})
			}
		}
	}
	return s.changeOverrides(ctx, undo)
}

func sameStack(a, b types.StackInstanceSummary) bool {
	return aws.ToString(a.Region) == aws.ToString(b.Region) && aws.ToString(a.Account) == aws.ToString(b.Account)
}
