// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/callerip"
)

// CallerAddress finds the addresses that the temporary security group admits
// if the configuration does not set them. It runs before anything is created.
type CallerAddress struct {
	noCleanup
	// Ask returns this machine's public address; nil requests it from AWS's service.
	Ask func(context.Context) (netip.Addr, error)
}

func (CallerAddress) Facts() (needs, yields []Fact) { return facts(Places), facts(Admitted) }

func (s CallerAddress) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	c := b.Config
	if len(c.SecurityGroupIds) > 0 || !c.SecurityGroupFilter.Empty() || c.NoSSHRule() {
		return multistep.ActionContinue
	}
	b.admitted = c.TemporarySGSourceCidrs
	if c.TemporarySGSourcePublicIp && len(b.admitted) == 0 {
		private, public := b.subnetsByAddress(ctx, ui)
		if len(private) > 0 {
			ui.Sayf("%s: instances get no public address, so Packer connects to the private address", strings.Join(private, ", "))
			b.admitted = everybody
		}
		if len(private) == 0 || len(public) > 0 {
			ask := s.Ask
			if ask == nil {
				ask = func(ctx context.Context) (netip.Addr, error) { return callerip.Ask(ctx, callerip.Service) }
			}
			address, err := ask(ctx)
			if err != nil {
				return Halt(state, "looking up this machine's public address, the only one allowed to connect to the instance: %w; "+
					"set temporary_security_group_source_cidrs to skip the lookup", err)
			}
			ui.Sayf("Allowing SSH from the internet only from this machine's public address, %s", address)
			b.admitted = []string{netip.PrefixFrom(address, address.BitLen()).String()}
			if len(private) > 0 {
				b.admitted = append(b.admitted, privateBlocks...)
			}
		}
	}
	if slices.ContainsFunc(b.admitted, isEverybody) {
		ui.Sayf("Allowing connections to port %d of the instance from %v; "+
			"set temporary_security_group_source_cidrs to restrict them", c.Comm.Port(), b.admitted)
	}
	return multistep.ActionContinue
}

// everybody admits all addresses. An instance without a public address is
// reachable only from connected networks. amazon-ebs admits the same.
var everybody = []string{"0.0.0.0/0"}

// privateBlocks are the addresses that Packer may connect from if the instance
// can be in a public or a private subnet (RFC 1918, RFC 6598).
var privateBlocks = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"}

// subnetsByAddress groups the subnets to try by whether instances get a public
// address there. They are unknown if EC2 chooses among the default subnets, which
// are public, or if the build requests an address.
func (b *Build) subnetsByAddress(ctx context.Context, ui packersdk.Ui) (private, public []string) {
	if b.Config.AssociatePublicIpAddress.True() || b.Config.SSHInterface != "" {
		return nil, nil
	}
	var ids []string
	for _, place := range b.places {
		if place.Subnet != "" && !slices.Contains(ids, place.Subnet) {
			ids = append(ids, place.Subnet)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := b.Clients.EC2(b.Clients.Region()).DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids}, awsclient.FewTries)
	if err != nil {
		ui.Errorf("looking up whether instances get public addresses in %s: %s; if they do not, set temporary_security_group_source_cidrs to this machine's address in that network",
			strings.Join(ids, ", "), awsclient.Plain(err))
		return nil, nil
	}
	for _, subnet := range out.Subnets {
		if id := aws.ToString(subnet.SubnetId); aws.ToBool(subnet.MapPublicIpOnLaunch) {
			public = append(public, id)
		} else {
			private = append(private, id)
		}
	}
	return private, public
}

// isEverybody reports whether a block contains all addresses.
func isEverybody(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Bits() == 0
}
