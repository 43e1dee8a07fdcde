// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"net/netip"
	"slices"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/callerip"
)

// stepCallerAddress decides who may reach the temporary security group's port,
// where the configuration leaves it to the caller's own address, before
// anything is created. The group's own step would ask for that address by
// itself, of a fixed host.
type stepCallerAddress struct {
	noCleanup
	group *awscommon.StepSecurityGroup
	ask   func(context.Context) (netip.Addr, error)
}

func askCallerAddress(ctx context.Context) (netip.Addr, error) {
	return callerip.Ask(ctx, callerip.Service)
}

func (s stepCallerAddress) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	g, ui := s.group, uiOf(state)
	if len(g.SecurityGroupIds) > 0 || !g.SecurityGroupFilter.Empty() || g.SkipSSHRuleCreation {
		return multistep.ActionContinue
	}
	if g.TemporarySGSourcePublicIp && len(g.TemporarySGSourceCidrs) == 0 {
		address, err := s.ask(ctx)
		if err != nil {
			return halt(state, "asking for this machine's public address, which alone may log in to the instance: %w; "+
				"set temporary_security_group_source_cidrs to the addresses that may, and nobody is asked", err)
		}
		ui.Sayf("This machine's public address is %s: nobody else may log in to the instance", address)
		g.TemporarySGSourceCidrs = []string{netip.PrefixFrom(address, address.BitLen()).String()}
	}
	g.TemporarySGSourcePublicIp = false
	buildOf(state).admitted = g.TemporarySGSourceCidrs
	if slices.ContainsFunc(g.TemporarySGSourceCidrs, isEverybody) {
		ui.Sayf("Everybody who can reach the instance's address may connect to its port %d (%v); "+
			"temporary_security_group_source_cidrs narrows that", g.CommConfig.Port(), g.TemporarySGSourceCidrs)
	}
	return multistep.ActionContinue
}

// isEverybody says that a block holds every address.
func isEverybody(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Bits() == 0
}
