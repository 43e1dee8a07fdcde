// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/multistep/commonsteps"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// planStep is a step of the plan.
type planStep struct {
	name  string // in the report
	step  multistep.Step
	makes bool // part of making an image: skipped if there is one to copy
	whole bool // the loss of the instance does not end the step
	needs bool // the step requires a running instance
	looks bool // the step creates nothing

	releases bool // the step is skipped if the images are not released
}

// newRunner returns the runner of a plan, whose steps are guarded. The SDK adds its
// wrappers for -on-error within.
func newRunner(plan []planStep, config common.PackerConfig, ui packersdk.Ui) multistep.Runner {
	list := make([]multistep.Step, len(plan))
	for i, p := range plan {
		list[i] = p.step
	}
	runner := commonsteps.NewRunner(list, config, ui)
	switch r := runner.(type) {
	case *multistep.BasicRunner:
		list = r.Steps
	case *multistep.DebugRunner:
		list = r.Steps
	}
	for i, p := range plan {
		p.step = list[i]
		list[i] = &guarded{planStep: p}
	}
	return runner
}

// guarded wraps a step of the plan: it measures the step's duration, watches the
// instance, and skips steps that create an image if there is one to copy. It
// converts a panic into an error, so that the build still cleans up. The context
// of a step lives until its Cleanup, as later steps may need its background work,
// such as a tunnel. Once there is an instance or an image to lose, all requests wait
// out an outage of AWS.
type guarded struct {
	planStep

	left bool               // the step was skipped
	end  context.CancelFunc // ends the step's background work; nil before Run
}

// InnerStepName returns the step's name for -debug.
func (g *guarded) InnerStepName() string { return g.name }

func (g *guarded) Run(ctx context.Context, state multistep.StateBag) (action multistep.StepAction) {
	b := steps.BuildOf(state)
	if g.left = g.makes && b.Sourced || g.releases && b.Report.Unreleased; g.left {
		return multistep.ActionContinue
	}
	if restart, nests := g.step.(*steps.Restart); nests {
		return restart.Run(ctx, state) // each of its steps is guarded
	}
	b.Begun = b.Begun || !g.looks
	begun := time.Now()
	if g.end != nil { // -on-error=ask can retry a step
		g.end()
	}
	ctx, g.end = context.WithCancel(ctx)
	settle := b.Watch(ctx, g.end, state, g.whole, g.needs)
	defer func() {
		if p := recover(); p != nil {
			action = steps.Halt(state, "internal error in %s, a bug in this plugin: %v\n%s", g.name, p, debug.Stack())
		}
		if err := settle(action == multistep.ActionHalt); err != nil && g.makes {
			state.Put(steps.KeyError, err)
			action = multistep.ActionHalt
		}
		waited, asked := b.Waits.Take()
		b.Report.Phases = append(b.Report.Phases, artifact.Phase{
			Name: g.name, Seconds: artifact.Seconds(time.Since(begun)), WaitedSeconds: artifact.Seconds(waited.Took),
			OvershootSeconds: artifact.Seconds(waited.Overshoot), Questions: asked,
		})
	}()
	if b.Started() {
		ctx = awsclient.WaitOut(ctx)
	}
	return g.step.Run(ctx, state)
}

func (g *guarded) Cleanup(state multistep.StateBag) {
	if g.left {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			steps.UIOf(state).Errorf("internal error during the clean-up of %s, a bug in this plugin: %v\n%s", g.name, p, debug.Stack())
		}
	}()
	if g.end != nil {
		defer g.end()
	}
	g.step.Cleanup(state)
}

// restarting returns a step that runs a plan, and runs it again after a spot
// interruption.
func restarting(plan []planStep, most int) planStep {
	list := make([]multistep.Step, len(plan))
	for i, p := range plan {
		list[i] = &guarded{planStep: p}
	}
	return planStep{name: "restart", step: &steps.Restart{Steps: list, Most: most}}
}
