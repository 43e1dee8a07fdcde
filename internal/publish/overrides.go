// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"golang.org/x/sync/errgroup"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// override is a stack instance that overrides parameters of the set.
type override struct {
	region, account string
	parameters      []string
}

// describesAtOnce limits the concurrent calls of overrides, one for each instance:
// list calls do not return overrides.
const describesAtOnce = 8

// overrides finds the instances that have a value other than the set's. A hidden
// value counts as different.
func (r *run) overrides(ctx context.Context, set *types.StackSet, there []types.StackInstanceSummary) ([]override, error) {
	s := r.set
	var ours []types.StackInstanceSummary
	for _, i := range there {
		if s.wants(i) && slices.Contains(s.Regions, aws.ToString(i.Region)) {
			ours = append(ours, i)
		}
	}
	found := make([]override, len(ours))
	var group errgroup.Group
	group.SetLimit(describesAtOnce)
	for n, i := range ours {
		group.Go(func() error {
			found[n] = override{region: aws.ToString(i.Region), account: aws.ToString(i.Account)}
			return r.again(ctx, "the instance of "+found[n].account+" in "+found[n].region, func() error {
				out, err := s.api.DescribeStackInstance(ctx, &cloudformation.DescribeStackInstanceInput{
					StackSetName: &s.Name, StackInstanceAccount: i.Account, StackInstanceRegion: i.Region, CallAs: types.CallAs(s.CallAs),
				})
				if err == nil && out.StackInstance != nil {
					found[n].parameters = differing(set, out.StackInstance.ParameterOverrides)
				}
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, s.explain(err, "cloudformation:DescribeStackInstance")
	}
	return slices.DeleteFunc(found, func(o override) bool { return len(o.parameters) == 0 }), nil
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
func (r *run) reportExceptions(ctx context.Context) (string, error) {
	s := r.set
	set, err := s.describe(ctx)
	if err != nil || set == nil {
		return "", err
	}
	there, err := r.instances(ctx)
	if err != nil {
		return "", err
	}
	var other []string
	for _, f := range s.otherInstances(there) {
		other = append(other, f.Region+": "+f.Is)
	}
	if len(other) > 0 {
		r.sayf("stack set %s: not updated, because accounts and regions of stack_set do not contain them: %s; add them, or delete these stack instances", s.Name, strings.Join(other, "; "))
	}
	var except []string
	behind := 0
	for _, i := range there {
		if s.wants(i) && slices.Contains(s.Regions, aws.ToString(i.Region)) && i.Status != types.StackInstanceStatusCurrent {
			behind++
			r.sayf("stack set %s: %s, account %s: %s: %s", s.Name, aws.ToString(i.Region), aws.ToString(i.Account), i.Status, listOr(present(aws.ToString(i.StatusReason)), "no reason given"))
		}
	}
	if behind > 0 {
		except = append(except, fmt.Sprintf("%d stack instance(s) that are not current", behind))
	}
	var kept []override
	if s.before != nil { // else this run created all of them, without overrides
		kept, err = r.overrides(ctx, set, there)
	}
	switch {
	case awsclient.IsUnauthorized(err):
		r.sayf("stack set %s: not checked whether stacks keep parameter overrides: allow cloudformation:DescribeStackInstance", s.Name)
	case err != nil:
		return "", err
	}
	for _, o := range kept {
		r.sayf("stack set %s: %s, account %s: keeps its override of %s; to reset it to the stack set's values:\n  %s", s.Name, o.region, o.account, strings.Join(o.parameters, ", "), r.clearCommand(s, o))
	}
	if len(kept) > 0 {
		except = append(except, fmt.Sprintf("%d stack instance(s) that keep parameter overrides", len(kept)))
	}
	if len(except) == 0 {
		return "", nil
	}
	return ", except for " + strings.Join(except, " and "), nil
}

// clearCommand returns the command that removes an instance's overrides. It needs
// an empty list: without a list they stay
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStackInstances.html).
func (p *Publisher) clearCommand(s *stackSetState, o override) string {
	return fmt.Sprintf("%s cloudformation update-stack-instances --region %s --stack-set-name %s%s --accounts %s --regions %s --parameter-overrides '[]'",
		p.aws(), s.Region, s.Name, s.callAs(), o.account, o.region)
}

func present(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// callAs returns the --call-as option of the AWS CLI.
func (s *stackSetState) callAs() string {
	if s.CallAs == "" {
		return ""
	}
	return " --call-as " + s.CallAs
}
