// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// Terminate terminates the instance as soon as its image is available, before
// the copies, as GPU instances are billed by the second.
type Terminate struct{ noCleanup }

func (Terminate) Facts() (needs, yields []Fact) { return facts(Instance), nil }

func (Terminate) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	if err := terminate(ctx, state); err != nil {
		return Halt(state, "%w", err)
	}
	return multistep.ActionContinue
}

// terminate requests the termination of the build's instance, and does not wait
// for it. It does nothing without an instance, or if the request was made before.
func terminate(ctx context.Context, state multistep.StateBag) error {
	b := BuildOf(state)
	if b.Report.InstanceID == "" || b.Report.InstanceSeconds > 0 {
		return nil
	}
	id := b.Report.InstanceID
	if err := b.remover(b.Clients.Region()).Begin(ctx, b.instance()); err != nil {
		return fmt.Errorf("terminating %s: %w", id, err)
	}
	b.ran()
	b.Report.InstanceSeconds = max(1, int(time.Since(b.launched).Round(time.Second)/time.Second))
	UIOf(state).Sayf("Terminated %s (%s) %d s after its launch; %s", id, b.Report.InstanceType, b.Report.InstanceSeconds, b.running())
	return nil
}

// awaitTerminated waits until the instance has terminated. Until then it uses its
// security group and volumes.
func awaitTerminated(ctx context.Context, state multistep.StateBag) error {
	b := BuildOf(state)
	if b.Report.InstanceID == "" {
		return nil
	}
	return b.remover(b.Clients.Region()).Await(ctx, b.instance())
}

// running describes the running time of the instance and its cost.
func (b *Build) running() string {
	text := fmt.Sprintf("%.0f s billed", b.Report.BilledSeconds)
	if b.Report.CostUSD > 0 {
		text += fmt.Sprintf(", %s at %s per hour", usd.Cost("about", b.Report.CostUSD), usd.Price(b.Report.PricePerHourUSD))
	}
	return text
}
