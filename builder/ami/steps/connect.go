// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/communicator"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
)

// Connect logs in to the instance. On failure it lists the usual causes and
// the options that fix them.
type Connect struct {
	communicator.StepConnect
	Configured string // ssh_host, as configured
}

func (*Connect) Facts() (needs, yields []Fact) { return facts(Admitted, Instance), nil }

func (s *Connect) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	action := s.StepConnect.Run(ctx, state)
	err, failed := state.Get(KeyError).(error)
	if action != multistep.ActionHalt || !failed || ctx.Err() != nil || s.Config.Type != "ssh" {
		return action
	}
	instance, _ := state.Get(keyInstance).(ec2types.Instance)
	causes := BuildOf(state).whyNoLogin(instance, s.Configured, err)
	why := "Possible causes:\n- " + strings.Join(causes, "\n- ")
	UIOf(state).Error(why) // the communicator has printed its error
	state.Put(KeyError, fmt.Errorf("logging in to %s: %w\n%s", cmp.Or(aws.ToString(instance.InstanceId), "the instance"), err, why))
	return action
}

// whyNoLogin lists the possible causes of a failed login with their remedies, the
// most likely first.
func (b *Build) whyNoLogin(instance ec2types.Instance, host string, err error) (causes []string) {
	c := b.Config
	add := func(format string, args ...any) { causes = append(causes, fmt.Sprintf(format, args...)) }
	login := func() {
		add("ssh_username: %q may not be the image's login user; Ubuntu's is ubuntu, Amazon Linux's ec2-user, Debian's admin", c.Comm.SSHUsername)
	}
	if strings.Contains(err.Error(), "unable to authenticate") { // SSH responds, so the network is fine
		login()
		if c.Comm.SSHPrivateKeyFile != "" || c.Comm.SSHAgentAuth {
			add("ssh_private_key_file, ssh_agent_auth: the key may not match ssh_keypair_name")
		}
		return causes
	}
	public := c.SSHInterface == "" || c.SSHInterface == "public_ip" || c.SSHInterface == "public_dns"
	if public && host == "" && aws.ToString(instance.PublicIpAddress) == "" {
		add("the instance has no public address: set associate_public_ip_address = true in a subnet with a route to an internet gateway, " +
			`or ssh_interface to "private_ip" from within its network, or to "session_manager"`)
	}
	switch {
	case c.SSMAgentEnabled():
		add("the instance may not reach Systems Manager: iam_instance_profile requires AmazonSSMManagedInstanceCore, and the subnet requires outbound access")
	case len(b.admitted) > 0:
		add("temporary_security_group_source_cidrs: only %s may connect to port %d; if this machine reaches the instance from another address "+
			"(a VPN, a proxy, a second uplink), add that address", strings.Join(b.admitted, ", "), c.Comm.Port())
	default:
		add("security_group_ids, security_group_filter: the groups may not allow this machine to connect to port %d; without these options a temporary group "+
			"allows temporary_security_group_source_cidrs", c.Comm.Port())
	}
	if !public && !c.SSMAgentEnabled() {
		add("ssh_interface: %q is reachable only from within the instance's network, such as over a VPN or a VPC peering connection; "+
			`otherwise use "public_ip" or "session_manager"`, c.SSHInterface)
	}
	login()
	add("ssh_timeout: the image may take longer than %s to boot; check its console log: %s", c.Comm.SSHTimeout,
		fmt.Sprintf("aws ec2 get-console-output --latest --instance-id %s --region %s", aws.ToString(instance.InstanceId), b.Clients.Region()))
	return causes
}

// SkipProvision reports that a rehearsal has no instance to log in to.
type SkipProvision struct{ noCleanup }

func (SkipProvision) Facts() (needs, yields []Fact) { return nil, nil }

func (SkipProvision) Run(_ context.Context, state multistep.StateBag) multistep.StepAction {
	UIOf(state).Say("Skipping the provisioners: there is no instance to log in to (rehearsal_instance = \"none\")")
	return multistep.ActionContinue
}
