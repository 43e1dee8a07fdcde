// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
)

// guarded runs a step of the plan: it takes its time, watches its spot instance
// meanwhile, leaves out the steps that
// make an image where there is one to copy, and turns a panic into an error, so
// that the build still cleans up and says what it could not.
type guarded struct {
	multistep.Step
	name  string
	makes bool // part of making an image

	left bool // it was left out
}

// guard guards all steps of a runner, and those within one; those named in
// making are left out where the image exists.
func guard(runner multistep.Runner, making map[string]bool) {
	var wrap func(steps []multistep.Step)
	wrap = func(steps []multistep.Step) {
		for i, step := range steps {
			if step == nil {
				continue
			}
			name := stepName(step)
			steps[i] = &guarded{Step: step, name: name, makes: making[name]}
			if anew, nests := step.(*stepAnew); nests {
				wrap(anew.steps)
			}
		}
	}
	switch r := runner.(type) {
	case *multistep.BasicRunner:
		wrap(r.Steps)
	case *multistep.DebugRunner:
		wrap(r.Steps)
	}
}

// InnerStepName is what -debug calls the step.
func (g *guarded) InnerStepName() string { return g.name }

func (g *guarded) Run(ctx context.Context, state multistep.StateBag) (action multistep.StepAction) {
	b := buildOf(state)
	if g.left = g.makes && b.sourced; g.left {
		return multistep.ActionContinue
	}
	if anew, nests := g.Step.(*stepAnew); nests {
		return anew.Run(ctx, state) // its steps are guarded each
	}
	begun := time.Now()
	ctx, settle := b.watch(ctx, state, g.name)
	defer func() {
		if p := recover(); p != nil {
			action = halt(state, "a mistake in this plugin, in %s: %v\n%s", g.name, p, debug.Stack())
		}
		if err := settle(action == multistep.ActionHalt); err != nil && g.makes {
			state.Put(keyError, err)
			action = multistep.ActionHalt
		}
		waited, asked := b.waits.take()
		b.report.Phases = append(b.report.Phases, phase{
			Name: phaseName(g.name), Seconds: seconds(time.Since(begun)), WaitedSeconds: seconds(waited), Questions: asked,
		})
	}()
	return g.Step.Run(ctx, state)
}

func (g *guarded) Cleanup(state multistep.StateBag) {
	if g.left {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			uiOf(state).Errorf("a mistake in this plugin, while %s cleaned up: %v\n%s", g.name, p, debug.Stack())
		}
	}()
	g.Step.Cleanup(state)
}

// stepName is the name of a step's type, or what a wrapper says of its own.
func stepName(step multistep.Step) string {
	if wrapper, ok := step.(multistep.StepWrapper); ok {
		return wrapper.InnerStepName()
	}
	return reflect.Indirect(reflect.ValueOf(step)).Type().Name()
}

var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

// phaseName is a step's name for people: stepCreateImage is create_image.
func phaseName(step string) string {
	step = strings.TrimPrefix(strings.TrimPrefix(step, "step"), "Step")
	return strings.ToLower(wordStart.ReplaceAllString(step, "${1}${3}_${2}${4}"))
}
