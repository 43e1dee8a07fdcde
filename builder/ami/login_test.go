// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// prepared returns a builder with the configuration.
func prepared(t *testing.T, config map[string]any) *Builder {
	t.Helper()
	config["region"] = "us-east-1"
	b := new(Builder)
	if _, _, err := b.Prepare(config); err != nil {
		t.Fatal(err)
	}
	return b
}

// planned returns the step of type S in the plan of a configuration.
func planned[S multistep.Step](t *testing.T, config map[string]any) S {
	t.Helper()
	b := prepared(t, config)
	plan := b.plan(t.Context(), new(multistep.BasicStateBag), awsclient.New(aws.Config{Region: "us-east-1"}, ""))
	for _, p := range plan {
		if found, ok := p.step.(S); ok {
			return found
		}
	}
	t.Fatal("the plan has no such step")
	panic("unreachable")
}

func anInstance(address string) ec2types.Instance {
	return ec2types.Instance{
		InstanceId: aws.String("i-1"), VpcId: aws.String("vpc-1"), PublicIpAddress: aws.String("198.51.100." + address), PrivateIpAddress: aws.String("10.0.0." + address),
		PublicDnsName: aws.String("public" + address), PrivateDnsName: aws.String("private" + address), Ipv6Address: aws.String("2001:db8::" + address),
	}
}

// TestSSHInterface: the address belongs to the current instance, which changes after a
// spot restart.
func TestSSHInterface(t *testing.T) {
	for ssh, want := range map[string]string{
		"": "198.51.100.", "public_ip": "198.51.100.", "private_ip": "10.0.0.", "public_dns": "public", "private_dns": "private", "ipv6": "2001:db8::",
	} {
		step := planned[*steps.Connect](t, map[string]any{"ssh_interface": ssh})
		for _, address := range []string{"1", "2"} {
			state := new(multistep.BasicStateBag)
			state.Put("instance", anInstance(address))
			if got, err := step.Host(state); err != nil || got != want+address {
				t.Errorf("ssh_interface = %q: got host %q, %v, want %q", ssh, got, err, want+address)
			}
			step.Config.SSHHost = want + address // as the communicator does
		}
	}
}

func TestSessionManager(t *testing.T) {
	config := func() map[string]any {
		return map[string]any{"ssh_interface": "session_manager", "iam_instance_profile": "p", "pause_before_ssm": "9s", "session_manager_port": 2222}
	}
	tunnel := planned[*awscommon.StepCreateSSMTunnel](t, config())
	if !tunnel.SSMAgentEnabled || tunnel.LocalPortNumber != 2222 || tunnel.PauseBeforeSSM != 9*time.Second || tunnel.RemotePortNumber != 22 {
		t.Errorf("got tunnel %+v", tunnel)
	}
	if !prepared(t, config()).config.NoSSHRule() {
		t.Error("got a security group rule for SSH, want none")
	}
	host, err := planned[*steps.Connect](t, config()).Host(new(multistep.BasicStateBag))
	if err != nil || host != "localhost" {
		t.Errorf("got host %q, %v, want localhost, the local end of the tunnel", host, err)
	}
}

// TestSourceCidrs checks which sources may connect to the SSH port.
func TestSourceCidrs(t *testing.T) {
	for _, test := range []struct {
		config map[string]any
		cidrs  []string
		public bool
	}{
		{map[string]any{}, nil, true},
		{map[string]any{"temporary_security_group_source_cidrs": []string{"10.0.0.0/8"}}, []string{"10.0.0.0/8"}, false},
		{map[string]any{"temporary_security_group_source_public_ip": true}, nil, true},
		{map[string]any{"ssh_interface": "private_ip"}, []string{"0.0.0.0/0"}, false},
		{map[string]any{"ssh_interface": "private_ip", "temporary_security_group_source_public_ip": true}, nil, true},
	} {
		group := prepared(t, test.config).config
		if len(group.TemporarySGSourceCidrs) != len(test.cidrs) || len(test.cidrs) > 0 && group.TemporarySGSourceCidrs[0] != test.cidrs[0] || group.TemporarySGSourcePublicIp != test.public {
			t.Errorf("%v: got sources %v, caller %v, want %v, %v", test.config, group.TemporarySGSourceCidrs, group.TemporarySGSourcePublicIp, test.cidrs, test.public)
		}
	}
}

func TestVirtualizationType(t *testing.T) {
	step := planned[*steps.SourceInfo](t, map[string]any{"ami_virtualization_type": "paravirtual"})
	if step.AMIVirtType != "paravirtual" {
		t.Errorf("got ami_virtualization_type %q", step.AMIVirtType)
	}
}
