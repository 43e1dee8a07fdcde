// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// stepTunnel leaves a process running, as Session Manager's step does.
type stepTunnel struct{ tunnel context.Context }

func (s *stepTunnel) Run(ctx context.Context, _ multistep.StateBag) multistep.StepAction {
	s.tunnel = ctx
	return multistep.ActionContinue
}

func (s *stepTunnel) Cleanup(multistep.StateBag) {}

// TestStepContextOutlivesRun: a step's context lives until the step is cleaned up, also
// in steps that may be restarted.
func TestStepContextOutlivesRun(t *testing.T) {
	for _, test := range []struct {
		name string
		plan func(steps ...planStep) []planStep
	}{
		{"a step of the plan", func(steps ...planStep) []planStep { return steps }},
		{"a step that may be restarted", func(steps ...planStep) []planStep {
			return []planStep{restarting(steps, 1)}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			opens := &stepTunnel{}
			alive := false
			uses := stepFunc(func() { alive = opens.tunnel != nil && opens.tunnel.Err() == nil })
			build := steps.NewBuild(new(options.Config), awsclient.New(aws.Config{Region: "us-east-1"}, ""), steps.Pace{})
			state := steps.NewState(build, packersdk.TestUi(t), &packersdk.MockHook{})
			plan := test.plan(planStep{step: opens}, planStep{step: uses})
			newRunner(plan, common.PackerConfig{}, packersdk.TestUi(t)).Run(t.Context(), state)
			if !alive {
				t.Error("the context ended before the next step")
			}
			if opens.tunnel.Err() == nil {
				t.Error("the context outlives the build")
			}
		})
	}
}

type stepFunc func()

func (s stepFunc) Run(context.Context, multistep.StateBag) multistep.StepAction {
	s()
	return multistep.ActionContinue
}

func (stepFunc) Cleanup(multistep.StateBag) {}
