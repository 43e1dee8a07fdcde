// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
)

// runLaunchTest runs the plan of a launch test, with its clean-up.
func (b *Builder) runLaunchTest(ctx context.Context, test *steps.Build, ui packersdk.Ui) error {
	state := steps.NewState(test, ui, nil)
	newRunner(b.testPlan(ctx, test), test.Config.PackerConfig, ui).Run(ctx, state)
	err, _ := state.Get(steps.KeyError).(error)
	return err
}

// testPlan returns the steps of a launch test: those of a build up to the login, then the
// checks.
func (b *Builder) testPlan(ctx context.Context, test *steps.Build) []planStep {
	plan := []planStep{
		{name: "source_ami_info", step: &steps.SourceInfo{StepSourceAMIInfo: awscommon.StepSourceAMIInfo{SourceAmi: test.Config.SourceAmi}}},
		{name: "network", step: steps.Network{}},
		{name: "caller_address", step: steps.CallerAddress{Ask: b.callerAddress}},
		{name: "key_pair", step: &steps.KeyPair{}},
		{name: "security_group", step: &steps.SecurityGroup{}},
		{name: "instance_profile", step: &steps.InstanceProfile{}},
		{name: "arm", step: steps.Arm{}},
		{name: "launch", step: steps.Launch{}},
		{name: "judge_test", step: &steps.JudgeTest{}},
	}
	if b.checkLaunch == nil {
		plan = append(plan, login(ctx, test.Config, test.Clients)...)
	}
	plan = append(plan,
		planStep{name: "check_launch", needs: true, step: steps.CheckLaunch{Make: b.checkLaunch}},
		planStep{name: "terminate", step: steps.Terminate{}},
	)
	for i := range plan {
		plan[i].makes = true // the loss of the instance ends the test
	}
	return plan
}
