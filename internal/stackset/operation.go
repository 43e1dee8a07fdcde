// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// looksPerReport is the number of polls of an operation for each poll of its
// instances, which takes one call per hundred instances.
const looksPerReport = 6

// errStopped is the cause of the error for an operation that somebody has stopped.
var errStopped = errors.New("somebody stopped it")

// await waits for an operation, and reports the progress of each region. The time in
// the queue behind other operations does not count as the time of this one.
func (s *Set) await(ctx context.Context, id string) error {
	told := map[string]string{}
	status, reason, looks := types.StackSetOperationStatus(""), "", 0
	ask := func(ctx context.Context) (bool, error) {
		out, err := s.api.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{StackSetName: &s.Name, OperationId: &id, CallAs: types.CallAs(s.CallAs)})
		if err != nil {
			return false, err
		}
		before := status
		status, reason = out.StackSetOperation.Status, aws.ToString(out.StackSetOperation.StatusReason)
		if status == types.StackSetOperationStatusQueued {
			if before == "" {
				s.call.Sayf("stack set %s: operation %s is queued behind %s; waiting for up to %s", s.Name, id, s.others(ctx, id), s.limit())
			}
			return false, nil
		}
		if before == types.StackSetOperationStatusQueued {
			return true, nil // to count the time of the operation from now on
		}
		switch status {
		case types.StackSetOperationStatusSucceeded, types.StackSetOperationStatusFailed, types.StackSetOperationStatusStopped:
			return true, nil
		}
		if looks++; looks%looksPerReport == 0 {
			_, err = s.report(ctx, id, told)
		}
		return false, err
	}
	what := "operation " + id + " of the stack set " + s.Name
	err := s.call.Until(ctx, s.limit(), what, ask)
	if err == nil && underWay(status) {
		err = s.call.Until(ctx, s.limit(), what, ask)
	}
	var timeout *poll.TimeoutError
	if errors.As(err, &timeout) {
		return awsclient.Explain(err, "stack set %s: operation %s is still %s after %s; CloudFormation continues it: run this again after it has ended, or stop it:\n  %s\n", s.Name, id, status, s.limit(), s.stopCommand(id))
	}
	if err != nil && ctx.Err() != nil {
		return s.cancelled(err, id, "continues")
	}
	if err != nil {
		return s.explain(err, "cloudformation:DescribeStackSetOperation")
	}
	failures, err := s.report(ctx, id, told)
	if err != nil {
		return err
	}
	if status == types.StackSetOperationStatusSucceeded {
		return nil
	}
	if status == types.StackSetOperationStatusStopped {
		return fmt.Errorf("stack set %s: operation %s: %w, with stop-stack-set-operation or in the console; its other stacks keep what they had: run this again to continue, or roll back to the previous version", s.Name, id, errStopped)
	}
	if len(failures) == 0 && reason != "" {
		failures = []string{reason}
	}
	return fmt.Errorf("stack set %s: operation %s is %s\n%s", s.Name, id, status, strings.Join(failures, "\n"))
}

// others describes the operations in progress other than one of ours.
func (s *Set) others(ctx context.Context, id string) string {
	busy, err := s.inProgress(ctx)
	if err != nil {
		return "others"
	}
	var list []string
	for _, o := range busy {
		if aws.ToString(o.OperationId) != id {
			list = append(list, fmt.Sprintf("operation %s (%s), which is %s", aws.ToString(o.OperationId), o.Action, o.Status))
		}
	}
	return listOr(list, "others")
}

// inProgress returns the operations of the set that block others, the newest first.
func (s *Set) inProgress(ctx context.Context) ([]types.StackSetOperationSummary, error) {
	out, err := s.api.ListStackSetOperations(ctx, &cloudformation.ListStackSetOperationsInput{StackSetName: &s.Name, CallAs: types.CallAs(s.CallAs)})
	if err != nil {
		return nil, s.explain(err, "cloudformation:ListStackSetOperations")
	}
	return slices.DeleteFunc(out.Summaries, func(o types.StackSetOperationSummary) bool { return !underWay(o.Status) }), nil
}

// underWay reports whether an operation blocks others.
func underWay(status types.StackSetOperationStatus) bool {
	switch status {
	case types.StackSetOperationStatusRunning, types.StackSetOperationStatusQueued, types.StackSetOperationStatusStopping:
		return true
	}
	return false
}

// cancelled explains the cancellation of this process while an operation runs.
func (s *Set) cancelled(err error, id, what string) error {
	return awsclient.Explain(err, "stack set %s: cancelled, but operation %s %s in AWS, and %s already of version %s; to stop the operation:\n  %s\n",
		s.Name, id, what, s.rollout.published(), s.rollout.Version, s.stopCommand(id))
}

// report prints the status of each region if it has changed, and returns the
// instances that failed, with a remedy if one is known.
func (s *Set) report(ctx context.Context, id string, told map[string]string) ([]string, error) {
	regions := map[string]map[string]int{}
	var failures []string
	pages := cloudformation.NewListStackSetOperationResultsPaginator(s.api, &cloudformation.ListStackSetOperationResultsInput{
		StackSetName: &s.Name, OperationId: &id, CallAs: types.CallAs(s.CallAs), MaxResults: aws.Int32(100),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.explain(err, "cloudformation:ListStackSetOperationResults")
		}
		for _, result := range page.Summaries {
			region, account, status := aws.ToString(result.Region), aws.ToString(result.Account), string(result.Status)
			if regions[region] == nil {
				regions[region] = map[string]int{}
			}
			regions[region][status]++
			if result.Status == types.StackSetOperationResultStatusFailed {
				failures = append(failures, fmt.Sprintf("%s, account %s: %s", region, account, s.remedy(region, account, aws.ToString(result.StatusReason))))
			}
		}
	}
	for _, region := range slices.Sorted(maps.Keys(regions)) {
		var counts []string
		for _, status := range slices.Sorted(maps.Keys(regions[region])) {
			counts = append(counts, fmt.Sprintf("%d %s", regions[region][status], strings.ToLower(status)))
		}
		if line := strings.Join(counts, ", "); told[region] != line {
			told[region] = line
			s.call.Sayf("stack set %s: %s: %s", s.Name, region, line)
		}
	}
	return failures, nil
}

// remedy adds the remedy to a reason from CloudFormation.
func (s *Set) remedy(region, account, reason string) string {
	lower := strings.ToLower(reason)
	switch {
	case strings.Contains(lower, "should have") && strings.Contains(lower, "role"), strings.Contains(lower, "not authorized to perform: sts:assumerole"):
		return fmt.Sprintf("%s: the account %s is not enabled for stack sets: create the execution role in it, trusted by the administrator account", reason, account)
	case strings.Contains(lower, "not enabled"), strings.Contains(lower, "opt-in"), strings.Contains(lower, "security token included in the request is invalid"):
		return fmt.Sprintf("%s: enable %s in the account %s", reason, region, account)
	}
	return reason
}
