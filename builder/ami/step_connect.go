// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

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

// stepConnect logs in to the instance; where it cannot, it says what usually
// is the cause, and which option mends it.
type stepConnect struct {
	communicator.StepConnect
	host string // ssh_host, as it is configured
}

func (s *stepConnect) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	action := s.StepConnect.Run(ctx, state)
	err, failed := state.Get(keyError).(error)
	if action != multistep.ActionHalt || !failed || ctx.Err() != nil || s.Config.Type != "ssh" {
		return action
	}
	instance, _ := state.Get(keyInstance).(ec2types.Instance)
	causes := buildOf(state).whyNoLogin(instance, s.host, err)
	why := "What may be the cause:\n- " + strings.Join(causes, "\n- ")
	uiOf(state).Error(why) // the communicator has said its error
	state.Put(keyError, fmt.Errorf("logging in to %s: %w\n%s", cmp.Or(aws.ToString(instance.InstanceId), "the instance"), err, why))
	return action
}

// whyNoLogin lists what may keep the build from logging in, the most likely
// first, each with what to do.
func (b *build) whyNoLogin(instance ec2types.Instance, host string, err error) (causes []string) {
	c := b.config
	add := func(format string, args ...any) { causes = append(causes, fmt.Sprintf(format, args...)) }
	login := func() {
		add("ssh_username: %q may not be the image's login user; Ubuntu's is ubuntu, Amazon Linux's ec2-user, Debian's admin", c.Comm.SSHUsername)
	}
	if strings.Contains(err.Error(), "unable to authenticate") { // it answers, so that the network is fine
		login()
		if c.Comm.SSHPrivateKeyFile != "" || c.Comm.SSHAgentAuth {
			add("ssh_private_key_file, ssh_agent_auth: the key may not be that of ssh_keypair_name")
		}
		return causes
	}
	public := c.SSHInterface == "" || c.SSHInterface == "public_ip" || c.SSHInterface == "public_dns"
	if public && host == "" && aws.ToString(instance.PublicIpAddress) == "" {
		add("the instance has no public address: set associate_public_ip_address = true in a subnet with a route to an internet gateway, " +
			`or ssh_interface = "private_ip" from within its network, or "session_manager"`)
	}
	switch {
	case c.SSMAgentEnabled():
		add("the instance may not reach Systems Manager: iam_instance_profile needs AmazonSSMManagedInstanceCore, and the subnet a way out")
	case len(b.admitted) > 0:
		add("temporary_security_group_source_cidrs: only %s may connect to port %d; if this machine reaches the instance by another address "+
			"(a VPN, a proxy, a second uplink), list that one", strings.Join(b.admitted, ", "), c.Comm.Port())
	default:
		add("security_group_ids, security_group_filter: the groups may not let this machine connect to port %d; without them a temporary group "+
			"does, for temporary_security_group_source_cidrs", c.Comm.Port())
	}
	if !public && !c.SSMAgentEnabled() {
		add("ssh_interface: %q is reached from within the instance's network only, such as over a VPN or a peering; "+
			`else take "public_ip" or "session_manager"`, c.SSHInterface)
	}
	login()
	add("ssh_timeout: the image may take longer than %s to boot, and its log tells: aws ec2 get-console-output --latest --instance-id %s --region %s",
		c.Comm.SSHTimeout, aws.ToString(instance.InstanceId), b.clients.Region())
	return causes
}
