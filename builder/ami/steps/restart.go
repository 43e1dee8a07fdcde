// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// watchInterval is the interval of checks for the loss of the instance. A broken SSH
// connection is not reported for minutes.
const watchInterval = 15 * time.Second

// reclaimedError is the error of a spot interruption.
type reclaimedError struct {
	id, kind, zone string
	after          time.Duration
}

func (e *reclaimedError) Error() string {
	return fmt.Sprintf("EC2 interrupted the spot instance %s (%s in %s) %s after its launch; "+
		"set spot_restarts = 1 to launch a new one, or markets = [\"on-demand\"] for an instance that EC2 does not interrupt",
		e.id, e.kind, e.zone, e.after.Round(time.Second))
}

// endedError is the error of an instance that ended while a step needed it.
type endedError struct {
	id, kind, zone string
	state          ec2types.InstanceStateName
	after          time.Duration
	why            *launch.EndedError
}

func (e *endedError) Error() string {
	remedy := "run the build again"
	switch e.why.Code {
	case "Client.UserInitiatedShutdown":
		remedy = "the build did not request this: CloudTrail names the user (event TerminateInstances or StopInstances)"
	case "Client.InstanceInitiatedShutdown":
		remedy = "a provisioner, or the auto-termination after max_build_time, shut it down"
	}
	return fmt.Sprintf("the instance %s (%s in %s) is %s %s after its launch: %s; %s",
		e.id, e.kind, e.zone, e.state, e.after.Round(time.Second), cmp.Or(e.why.Reason, e.why.Code, "EC2 returned no reason"), remedy)
}

// Watch watches the build's instance while a step works on it, and ends the step if
// the instance is lost: EC2 interrupts it (spot), or the step needs it running and it
// is terminated. settle ends the watch and returns the loss as an error, which takes
// precedence over the step's own.
//
// A whole step is not interrupted; the check runs after it.
func (b *Build) Watch(ctx context.Context, end context.CancelFunc, state multistep.StateBag, whole, needs bool) (settle func(failed bool) error) {
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	watches := b.hasInstance() && (b.onSpot() || needs)
	go func() {
		defer close(done)
		if !watches || whole {
			return
		}
		tick := time.NewTicker(clock.Real(cmp.Or(b.Watching, watchInterval)))
		defer tick.Stop()
		for {
			select {
			case <-watching.Done():
				return
			case <-tick.C:
			}
			if b.lookForLoss(watching, needs, false); b.lost != nil {
				UIOf(state).Error(b.lost.Error())
				end()
				return
			}
		}
	}()
	return func(failed bool) error {
		stop()
		<-done
		if b.lost == nil && failed && ctx.Err() == nil && b.hasInstance() && (b.onSpot() || needs) {
			b.lookForLoss(ctx, needs, true)
		}
		return b.lost
	}
}

// hasInstance reports whether the build has an instance that it has not terminated.
func (b *Build) hasInstance() bool { return b.Report.InstanceID != "" && b.Report.InstanceSeconds == 0 }

// lookForLoss checks once whether the instance is lost. A provisioner may stop the
// instance; if one failed, the stop is the cause.
func (b *Build) lookForLoss(ctx context.Context, needs, failed bool) {
	found, err := launch.Describe(ctx, b.Clients.EC2(b.Clients.Region()), b.Report.InstanceID)
	if err != nil {
		log.Printf("[INFO] checking whether %s is lost: %s", b.Report.InstanceID, err)
		return
	}
	after := time.Since(b.launched)
	if launch.Reclaimed(found) {
		b.lost = &reclaimedError{b.Report.InstanceID, b.Report.InstanceType, b.Report.Zone, after}
		return
	}
	switch found.State.Name {
	case ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameStopped:
		needs = needs && failed
	case ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
	default:
		return
	}
	if needs {
		b.lost = &endedError{b.Report.InstanceID, b.Report.InstanceType, b.Report.Zone, found.State.Name, after, launch.Ended(found)}
	}
}

// Restart runs steps, and runs them again after a spot interruption, at most
// spot_restarts times.
type Restart struct {
	Steps []multistep.Step
	Most  int // restarts

	ran []multistep.Step
}

func (s *Restart) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	for n := 1; ; n++ {
		action := s.runOnce(ctx, state)
		if reclaimed := (*reclaimedError)(nil); action == multistep.ActionContinue || !errors.As(b.lost, &reclaimed) || n > s.Most || ctx.Err() != nil {
			return action
		}
		b.lost = nil
		state.Remove(KeyError) // the error is a result of the interruption
		s.Cleanup(state)
		b.Report.SpotReclaims++
		b.Report.ReclaimedSeconds += b.Report.InstanceSeconds
		b.Report.InstanceID, b.Report.InstanceSeconds = "", 0
		for _, key := range []string{keyInstance, keyInstanceID, keyCommunicator} {
			state.Remove(key)
		}
		ui.Sayf("Launching a new instance and provisioning from the beginning: restart %d of %d (spot_restarts)", n, s.Most)
	}
}

func (s *Restart) runOnce(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	for _, step := range s.Steps {
		if ctx.Err() != nil {
			return multistep.ActionHalt
		}
		s.ran = append(s.ran, step)
		if action := step.Run(ctx, state); action != multistep.ActionContinue {
			return action
		}
	}
	if b := BuildOf(state); b.onSpot() && b.hasInstance() { // the step may not have noticed
		if b.lookForLoss(ctx, false, false); b.lost != nil {
			return Halt(state, "%w", b.lost)
		}
	}
	return multistep.ActionContinue
}

// Cleanup cleans up the steps that have run, in reverse order.
func (s *Restart) Cleanup(state multistep.StateBag) {
	for i := len(s.ran) - 1; i >= 0; i-- {
		s.ran[i].Cleanup(state)
	}
	s.ran = nil
}
