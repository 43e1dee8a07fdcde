// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// restore restores the set's previous template, if it has changed, and the previous
// overrides if on_failure is rollback. It returns the error that led to it. It starts
// no operation after somebody has stopped one, nor while one that has timed out
// continues.
func (s *Set) restore(ctx context.Context, changed bool, cause error) error {
	var late *poll.TimeoutError
	if ctx.Err() != nil || errors.Is(cause, errStopped) || errors.As(cause, &late) || s.OnFailure != Restore || s.before == nil {
		return cause
	}
	previous := ""
	if changed {
		text := ""
		if s.differs(s.rollout.Body) != "" {
			text = aws.ToString(s.before.TemplateBody)
		}
		var err error
		if previous, err = s.rollout.History.PreviousTemplate(ctx, text); err != nil {
			return errors.Join(cause, fmt.Errorf("the stack set keeps the new template: %w", err))
		}
	}
	if previous == "" && len(s.changedOverrides) == 0 {
		return cause
	}
	// The overrides first: a stack that fails with the new ones fails with them and the
	// previous template too.
	failed := s.restoreOverrides(ctx, changed)
	if failed != nil {
		failed = fmt.Errorf("restoring the previous parameter overrides: %w", failed)
	}
	if previous == "" {
		if failed != nil {
			return errors.Join(cause, failed)
		}
		return fmt.Errorf("%w; the stacks have their previous parameter overrides again", cause)
	}
	there, err := s.instances(ctx)
	if err != nil {
		return errors.Join(cause, fmt.Errorf("the stack set keeps the new template: %w", err))
	}
	blocks := s.blocks(slices.DeleteFunc(there, func(i types.StackInstanceSummary) bool {
		return !s.wants(i) || i.Status == types.StackInstanceStatusInoperable
	}))
	if len(blocks) == 0 {
		blocks = []block{{}} // the set itself
	}
	for n, b := range blocks {
		s.call.Sayf("stack set %s: restoring its previous template in %s", s.Name, listOr(b.regions, "no region, because it has no instances"))
		if err := s.updateSet(ctx, s.backTo(previous, n == 0, b)); err != nil {
			return errors.Join(cause, failed, fmt.Errorf("restoring the previous template: %w", err))
		}
	}
	return errors.Join(fmt.Errorf("%w; the stack set has its previous template again, but %s still of version %s", cause, s.rollout.published(), s.rollout.Version), failed)
}

// backTo returns the update to the previous template. Only the first one changes
// the set itself.
func (s *Set) backTo(previous string, first bool, b block) *cloudformation.UpdateStackSetInput {
	in := &cloudformation.UpdateStackSetInput{
		StackSetName: &s.Name, CallAs: types.CallAs(s.CallAs), Regions: b.regions, Capabilities: s.before.Capabilities,
		AdministrationRoleARN: s.before.AdministrationRoleARN, ExecutionRoleName: s.before.ExecutionRoleName,
		ManagedExecution: s.before.ManagedExecution, OperationPreferences: s.preferences(b.regions), Parameters: s.oldParameters(first),
	}
	if first {
		in.TemplateURL = &previous
	} else {
		in.UsePreviousTemplate = aws.Bool(true)
	}
	s.aim(in, b.targets)
	return in
}

// oldParameters returns the values that the set had before. Only the first update
// needs to send them.
func (s *Set) oldParameters(send bool) []types.Parameter {
	var list []types.Parameter
	for _, p := range s.before.Parameters {
		if aws.ToString(p.ParameterValue) == hidden || !send {
			p = types.Parameter{ParameterKey: p.ParameterKey, UsePreviousValue: aws.Bool(true)}
		}
		list = append(list, types.Parameter{ParameterKey: p.ParameterKey, ParameterValue: p.ParameterValue, UsePreviousValue: p.UsePreviousValue})
	}
	return list
}
