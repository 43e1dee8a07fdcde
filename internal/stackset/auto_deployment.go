// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

func (a AutoDeployment) String() string {
	switch {
	case !a.Enabled:
		return "off: accounts that join the units later get no stack"
	case a.Retain:
		return "on: accounts that leave the units keep their stacks"
	}
	return "on: stacks of accounts that leave the units are deleted"
}

func (a AutoDeployment) request() *types.AutoDeployment {
	in := &types.AutoDeployment{Enabled: &a.Enabled}
	if a.Enabled { // CloudFormation accepts it only then
		in.RetainStacksOnAccountRemoval = &a.Retain
	}
	return in
}

// deployAutomatically changes the automatic deployment of an existing set. Its update
// must not name regions or targets, so it applies to all stacks of the set. It runs
// last, when they are current, with the set's own template and parameters
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStackSet.html).
func (s *Set) deployAutomatically(ctx context.Context) error {
	if s.AutoDeployment == nil || s.before == nil {
		return nil
	}
	var now AutoDeployment
	if a := s.before.AutoDeployment; a != nil && aws.ToBool(a.Enabled) {
		now = AutoDeployment{Enabled: true, Retain: aws.ToBool(a.RetainStacksOnAccountRemoval)}
	}
	if now == *s.AutoDeployment {
		return nil
	}
	s.call.Sayf("stack set %s: setting automatic deployment, in an update of all of its stacks: %s", s.Name, s.AutoDeployment)
	return s.updateSet(ctx, &cloudformation.UpdateStackSetInput{
		StackSetName: &s.Name, UsePreviousTemplate: aws.Bool(true), Parameters: s.unchangedParameters(), Capabilities: s.capabilities(), CallAs: types.CallAs(s.CallAs),
		ManagedExecution: s.managed(), OperationPreferences: s.preferences(nil), AutoDeployment: s.AutoDeployment.request(),
	})
}
