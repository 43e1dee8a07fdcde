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
	"golang.org/x/sync/errgroup"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// override is a stack instance whose overrides are not as configured.
type override struct {
	region, account string
	parameters      []string // overridden, and not configured
	absent          []string // configured, and not overridden
}

// instanceOverrides is an instance with its overrides.
type instanceOverrides struct {
	types.StackInstanceSummary
	overrides []types.Parameter
}

// describesAtOnce limits the concurrent calls of overrides, one for each instance:
// list calls do not return overrides.
const describesAtOnce = 8

// overrides finds the instances whose overrides are not as configured: they have a
// value other than the set's, or lack a configured override. A hidden value counts as
// different.
func (s *Set) overrides(ctx context.Context, set *types.StackSet, there []types.StackInstanceSummary) (found []override, err error) {
	stacks, err := s.readOverrides(ctx, slices.DeleteFunc(slices.Clone(there), func(i types.StackInstanceSummary) bool { return !s.configured(i) }))
	for _, stack := range stacks {
		o := override{region: aws.ToString(stack.Region), account: aws.ToString(stack.Account)}
		configured, _ := s.overridesOf(o.region, o.account)
		has := keysOf(stack.overrides)
		for _, name := range differing(set, stack.overrides) {
			if _, ok := configured[name]; !ok {
				o.parameters = append(o.parameters, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(configured)) {
			declared := slices.ContainsFunc(set.Parameters, func(p types.Parameter) bool { return aws.ToString(p.ParameterKey) == name })
			if declared && !slices.Contains(has, name) {
				o.absent = append(o.absent, name)
			}
		}
		if len(o.parameters)+len(o.absent) > 0 {
			found = append(found, o)
		}
	}
	return found, err
}

// readOverrides reads the overrides of some instances.
func (s *Set) readOverrides(ctx context.Context, list []types.StackInstanceSummary) ([]instanceOverrides, error) {
	found := make([]instanceOverrides, len(list))
	var group errgroup.Group
	group.SetLimit(describesAtOnce)
	for n, i := range list {
		group.Go(func() error {
			found[n].StackInstanceSummary = i
			return s.call.Again(ctx, "the instance of "+aws.ToString(i.Account)+" in "+aws.ToString(i.Region), func() error {
				out, err := s.api.DescribeStackInstance(ctx, &cloudformation.DescribeStackInstanceInput{
					StackSetName: &s.Name, StackInstanceAccount: i.Account, StackInstanceRegion: i.Region, CallAs: types.CallAs(s.CallAs),
				})
				if err == nil && out.StackInstance != nil {
					found[n].overrides = out.StackInstance.ParameterOverrides
				}
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, s.explain(err, "cloudformation:DescribeStackInstance")
	}
	return found, nil
}

// differing returns the overridden parameters whose value differs from the set's.
func differing(set *types.StackSet, overrides []types.Parameter) (names []string) {
	for _, o := range overrides {
		same := slices.ContainsFunc(set.Parameters, func(p types.Parameter) bool {
			return aws.ToString(p.ParameterKey) == aws.ToString(o.ParameterKey) && aws.ToString(p.ParameterValue) == aws.ToString(o.ParameterValue)
		})
		if !same || aws.ToString(o.ParameterValue) == hidden {
			names = append(names, aws.ToString(o.ParameterKey))
		}
	}
	slices.Sort(names)
	return names
}

// reportExceptions reports the stacks that the roll-out did not update completely:
// those that are not current, which a failure tolerance allows, and those with
// overrides. It returns the end of the summary line.
func (s *Set) reportExceptions(ctx context.Context) (string, error) {
	set, err := s.describe(ctx)
	if err != nil || set == nil {
		return "", err
	}
	there, err := s.instances(ctx)
	if err != nil {
		return "", err
	}
	var other []string
	for _, f := range s.otherInstances(there) {
		other = append(other, f.Region+": "+f.Is)
	}
	if len(other) > 0 {
		s.call.Sayf("stack set %s: not updated, because accounts and regions of stack_set do not contain them: %s; add them, or delete these stack instances", s.Name, strings.Join(other, "; "))
	}
	var except []string
	behind := 0
	for _, i := range there {
		if s.wants(i) && slices.Contains(s.Regions, aws.ToString(i.Region)) && i.Status != types.StackInstanceStatusCurrent {
			behind++
			s.call.Sayf("stack set %s: %s, account %s: %s: %s", s.Name, aws.ToString(i.Region), aws.ToString(i.Account), i.Status, listOr(present(aws.ToString(i.StatusReason)), "no reason given"))
		}
	}
	if behind > 0 {
		except = append(except, fmt.Sprintf("%d stack instance(s) that are not current", behind))
	}
	var kept []override
	if s.before != nil { // else this run created all of them, without overrides
		kept, err = s.overrides(ctx, set, there)
	}
	switch {
	case awsclient.IsUnauthorized(err):
		s.call.Sayf("stack set %s: not checked whether stacks keep parameter overrides: allow cloudformation:DescribeStackInstance", s.Name)
	case err != nil:
		return "", err
	}
	kept = slices.DeleteFunc(kept, func(o override) bool { return len(o.parameters) == 0 })
	for _, o := range kept {
		s.call.Sayf("stack set %s: %s, account %s: keeps its override of %s, which parameter_overrides does not contain; to reset it to the stack set's values:\n  %s",
			s.Name, o.region, o.account, strings.Join(o.parameters, ", "), s.clearCommand(o))
	}
	if len(kept) > 0 {
		except = append(except, fmt.Sprintf("%d stack instance(s) that keep parameter overrides", len(kept)))
	}
	if len(except) == 0 {
		return "", nil
	}
	return ", except for " + strings.Join(except, " and "), nil
}

// clearCommand returns the command that removes an instance's overrides except those
// that are configured. It needs an empty list: without a list they stay
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStackInstances.html).
func (s *Set) clearCommand(o override) string {
	list := "'[]'"
	if values, _ := s.overridesOf(o.region, o.account); len(values) > 0 {
		list = ""
		for _, name := range slices.Sorted(maps.Keys(values)) {
			list += " ParameterKey=" + name + ",UsePreviousValue=true"
		}
		list = strings.TrimSpace(list)
	}
	return fmt.Sprintf("%s cloudformation update-stack-instances --region %s --stack-set-name %s%s --accounts %s --regions %s --parameter-overrides %s",
		s.call.CLI(), s.Region, s.Name, s.callAs(), o.account, o.region, list)
}

func present(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// callAs returns the --call-as option of the AWS CLI.
func (s *Set) callAs() string {
	if s.CallAs == "" {
		return ""
	}
	return " --call-as " + s.CallAs
}
