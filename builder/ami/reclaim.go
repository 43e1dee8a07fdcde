// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
)

// watchInterval is how often a build looks whether its spot instance is still
// its own. A broken SSH connection says nothing for minutes.
const watchInterval = 15 * time.Second

// reclaimedError says that EC2 took the build's spot instance back.
type reclaimedError struct {
	id, kind, zone string
	after          time.Duration
}

func (e *reclaimedError) Error() string {
	return fmt.Sprintf("EC2 has taken back the spot instance %s (%s in %s), %s after its launch; "+
		"spot_restarts = 1 would launch anew, markets = [\"on-demand\"] is not taken back",
		e.id, e.kind, e.zone, e.after.Round(time.Second))
}

// watch watches the build's spot instance while a step works on it. The context
// ends when the instance is gone. settle ends the watch and returns the error
// of that, which is why a step has failed, whatever it says itself.
//
// A step that makes the image or ends the instance goes on without it, and is
// only asked afterwards.
func (b *build) watch(ctx context.Context, state multistep.StateBag, step string) (watched context.Context, settle func(failed bool) error) {
	watched, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	needed := b.runsOnSpot() && step != stepName(stepCreateImage{}) && step != stepName(stepTerminate{})
	go func() {
		defer close(done)
		if !needed {
			return
		}
		tick := time.NewTicker(b.watching)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
			}
			if b.lookForLoss(watched); b.lost != nil {
				uiOf(state).Error(b.lost.Error())
				cancel()
				return
			}
		}
	}()
	return watched, func(failed bool) error {
		cancel()
		<-done
		if b.lost == nil && failed && ctx.Err() == nil && b.runsOnSpot() {
			b.lookForLoss(ctx)
		}
		return b.lost
	}
}

// runsOnSpot says that there is an instance that EC2 may take back.
func (b *build) runsOnSpot() bool {
	return b.onSpot() && b.report.InstanceID != "" && b.report.InstanceSeconds == 0
}

// lookForLoss asks once whether EC2 took the instance back.
func (b *build) lookForLoss(ctx context.Context) {
	found, err := describeInstance(ctx, b.clients.EC2(b.clients.Region()), b.report.InstanceID)
	if err != nil {
		log.Printf("[INFO] looking after %s: %s", b.report.InstanceID, err)
		return
	}
	if isReclaimed(found) {
		b.lost = &reclaimedError{b.report.InstanceID, b.report.InstanceType, b.report.Zone, time.Since(b.report.launched)}
	}
}

// isReclaimed says that an instance has ended because EC2 wanted it, for which
// there are two reasons:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
func isReclaimed(instance ec2types.Instance) bool {
	if instance.StateReason == nil {
		return false
	}
	code := aws.ToString(instance.StateReason.Code)
	return strings.HasPrefix(code, "Server.Spot")
}

// stepAnew runs steps, and runs them anew when EC2 took the spot instance back
// meanwhile, spot_restarts times at most.
type stepAnew struct {
	steps    []multistep.Step
	restarts int

	ran []multistep.Step
}

func (s *stepAnew) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	for n := 1; ; n++ {
		action := s.runOnce(ctx, state)
		if action == multistep.ActionContinue || b.lost == nil || n > s.restarts || ctx.Err() != nil {
			return action
		}
		b.lost = nil
		state.Remove(keyError) // of what failed because the instance was gone
		s.Cleanup(state)
		b.report.SpotReclaims++
		b.report.ReclaimedSeconds += b.report.InstanceSeconds
		b.report.InstanceID, b.report.InstanceSeconds = "", 0
		for _, key := range []string{keyInstance, keyInstanceID, keyCommunicator} {
			state.Remove(key)
		}
		ui.Sayf("Launching anew and provisioning from the beginning, restart %d of %d (spot_restarts)", n, s.restarts)
	}
}

func (s *stepAnew) runOnce(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	for _, step := range s.steps {
		if ctx.Err() != nil {
			return multistep.ActionHalt
		}
		s.ran = append(s.ran, step)
		if action := step.Run(ctx, state); action != multistep.ActionContinue {
			return action
		}
	}
	if b := buildOf(state); b.runsOnSpot() { // a step may have heard nothing of it
		if b.lookForLoss(ctx); b.lost != nil {
			return halt(state, "%w", b.lost)
		}
	}
	return multistep.ActionContinue
}

// Cleanup cleans up what has run, last first.
func (s *stepAnew) Cleanup(state multistep.StateBag) {
	for i := len(s.ran) - 1; i >= 0; i-- {
		s.ran[i].Cleanup(state)
	}
	s.ran = nil
}
