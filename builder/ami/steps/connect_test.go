// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

func TestLoginFailureCauses(t *testing.T) {
	reachable := ec2types.Instance{InstanceId: aws.String("i-1"), PublicIpAddress: aws.String("198.51.100.1")}
	timeout := errors.New("Timeout waiting for SSH.")
	for _, test := range []struct {
		name     string
		config   map[string]any
		admitted []string
		instance ec2types.Instance
		err      error
		first    string
		not      string
	}{
		{"no public address", nil, []string{"192.0.2.1/32"}, ec2types.Instance{}, timeout, "associate_public_ip_address = true", "security_group_ids"},
		{"the temporary group", nil, []string{"192.0.2.1/32"}, reachable, timeout, "temporary_security_group_source_cidrs: only 192.0.2.1/32", "associate_public_ip_address"},
		{"the user's own group", map[string]any{"security_group_id": "sg-1"}, nil, reachable, timeout, "security_group_ids", "source_cidrs: only"},
		{"Systems Manager", map[string]any{"ssh_interface": "session_manager", "iam_instance_profile": "p"}, nil, ec2types.Instance{}, timeout, "AmazonSSMManagedInstanceCore", "source_cidrs"},
		{"a private address", map[string]any{"ssh_interface": "private_ip"}, []string{"0.0.0.0/0"}, ec2types.Instance{}, timeout, "source_cidrs", "associate_public_ip_address"},
		{"ssh_host of the user", map[string]any{"ssh_host": "bastion.example"}, []string{"192.0.2.1/32"}, ec2types.Instance{}, timeout, "source_cidrs", "associate_public_ip_address"},
		{"a wrong user name", nil, []string{"192.0.2.1/32"}, reachable, errors.New("ssh: handshake failed: ssh: unable to authenticate"), `ssh_username: "ubuntu"`, "source_cidrs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := map[string]any{"region": "us-east-1"}
			maps.Copy(config, test.config)
			var c options.Config
			if _, err := c.Prepare(config); err != nil {
				t.Fatal(err)
			}
			j := &Build{Config: &c, admitted: test.admitted, Clients: awsclient.New(aws.Config{Region: "us-east-1"}, "")}
			causes := j.whyNoLogin(test.instance, c.Comm.Host(), test.err)
			if !strings.Contains(causes[0], test.first) || strings.Contains(strings.Join(causes, "\n"), test.not) {
				t.Errorf("got causes without %q first, or with %q:\n%s", test.first, test.not, strings.Join(causes, "\n"))
			}
		})
	}
}
