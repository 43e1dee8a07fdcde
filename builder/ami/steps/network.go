// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// Network finds the places where the instance may run, and the VPC of the
// security group; an empty VPC is the default VPC. Launch chooses one of the
// places, and sets subnet and zone.
type Network struct{ noCleanup }

func (Network) Facts() (needs, yields []Fact) { return nil, facts(Places) }

func (Network) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	if err := b.findNetwork(ctx, UIOf(state)); err != nil {
		return Halt(state, "network: %w", err)
	}
	return multistep.ActionContinue
}

// findNetwork looks up the VPC and the places, unless the preflight has.
func (b *Build) findNetwork(ctx context.Context, ui packersdk.Ui) (err error) {
	if b.places == nil {
		network := b.Config.Network()
		network.Say, network.Complain = ui.Sayf, ui.Errorf
		b.vpc, b.places, err = network.Find(ctx, b.Clients.EC2(b.Clients.Region()))
	}
	return err
}
