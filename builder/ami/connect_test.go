// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// admitting is a build against an account that looks at the temporary security
// group before the instance is launched, and counts the questions for this
// machine's address.
type admitting struct {
	asked int
	rules []string // "port from block"
	said  string
	err   error
	left  []string
	calls map[string]int // in the build's region
}

func admit(t *testing.T, config map[string]any, address string, unknown error) (a admitting) {
	t.Helper()
	w := newWorld(t)
	raw := map[string]any{"region": "eu-central-1", "ami_name": "admit", "skip_create_ami": true, "temporary_key_pair_type": "ed25519"}
	maps.Copy(raw, config)
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	b.config.Rehearsal = true // waits as briefly as one, and lets in whom it is told
	b.callerAddress = func(context.Context) (netip.Addr, error) {
		a.asked++
		if unknown != nil {
			return netip.Addr{}, unknown
		}
		return netip.MustParseAddr(address), nil
	}
	l := &launches{world: w}
	l.onCall = func(int) {
		groups, err := w.client("eu-central-1").DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{
			Filters: []ec2types.Filter{{Name: aws.String("group-name"), Values: []string{"packer_*"}}},
		})
		if err != nil || len(groups.SecurityGroups) != 1 {
			t.Errorf("there is not one temporary group: %v, %v", groups, err)
			return
		}
		for _, rule := range groups.SecurityGroups[0].IpPermissions {
			for _, block := range rule.IpRanges {
				a.rules = append(a.rules, *block.CidrIp)
			}
			for _, block := range rule.Ipv6Ranges {
				a.rules = append(a.rules, *block.CidrIpv6)
			}
			if aws.ToInt32(rule.FromPort) != 22 || aws.ToInt32(rule.ToPort) != 22 {
				t.Errorf("the ports %d to %d are open", *rule.FromPort, *rule.ToPort)
			}
		}
	}
	b.connect = func(context.Context, packersdk.Ui) (*ec2api.Clients, error) {
		return ec2api.New(w.awsConfig(l), ""), nil
	}
	_, a.err = b.Run(t.Context(), listener{&packersdk.BasicUi{}, &w.ui, w.answer}, &packersdk.MockHook{})
	a.said, a.left, a.calls = w.ui.String(), w.left(), w.aws.Calls()["eu-central-1"]
	return a
}

// The temporary group lets in whom it must and nobody else, and this machine's
// address is asked for only where it matters.
func TestWhoIsLetIn(t *testing.T) {
	// The instances of this AWS cannot be logged in to.
	nobody := map[string]any{"ssh_timeout": "1ms"}
	for _, test := range []struct {
		name    string
		config  map[string]any
		address string
		rules   []string
		asked   int
	}{
		{"the caller", nil, "198.51.100.7", []string{"198.51.100.7/32"}, 1},
		{"the caller, by IPv6", nil, "2001:db8::7", []string{"2001:db8::7/128"}, 1},
		{"whom the user names", map[string]any{"temporary_security_group_source_cidrs": []string{"203.0.113.0/24", "2001:db8::/32"}}, "", []string{"203.0.113.0/24", "2001:db8::/32"}, 0},
		{"nobody without a communicator", map[string]any{"communicator": "none"}, "", nil, 0},
		{"nobody through Systems Manager", map[string]any{"ssh_interface": "session_manager", "iam_instance_profile": "p", "skip_profile_validation": true, "pause_before_ssm": "1ms"}, "", nil, 0},
		{"everybody who can reach a private address", map[string]any{"ssh_interface": "private_ip"}, "", []string{"0.0.0.0/0"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := maps.Clone(nobody)
			maps.Copy(config, test.config)
			a := admit(t, config, test.address, nil)
			if !slices.Equal(a.rules, test.rules) || a.asked != test.asked {
				t.Errorf("it lets in %q after %d questions, want %q after %d\n%v\n%s", a.rules, a.asked, test.rules, test.asked, a.err, a.said)
			}
			if open := strings.Contains(a.said, "Everybody who can reach"); open != slices.Contains(test.rules, "0.0.0.0/0") {
				t.Errorf("said that everybody is let in: %v\n%s", open, a.said)
			}
			if len(a.left) > 0 {
				t.Errorf("left behind: %v", a.left)
			}
		})
	}
}

// Without an answer nothing is created, and the error names the way out.
func TestTheCallersAddressIsUnknown(t *testing.T) {
	a := admit(t, nil, "", errors.New("no route"))
	if a.err == nil || !strings.Contains(a.err.Error(), "temporary_security_group_source_cidrs") || !strings.Contains(a.err.Error(), "no route") {
		t.Errorf("the error is %v", a.err)
	}
	for _, action := range []string{"CreateKeyPair", "CreateSecurityGroup", "RunInstances"} {
		// A dry run of the preflight is one call.
		if n := a.calls[action]; n > 1 || len(a.left) > 0 {
			t.Errorf("%s was called %d times; left are %v", action, n, a.left)
		}
	}
}

// A rehearsal never asks a host outside.
func TestARehearsalAsksNobody(t *testing.T) {
	var b Builder
	state := t.TempDir()
	if _, _, err := b.Prepare(map[string]any{"rehearsal": true, "rehearsal_state": state, "rehearsal_instance": "none", "rehearsal_latency": "instant", "region": "eu-central-1", "skip_create_ami": true}); err != nil {
		t.Fatal(err)
	}
	b.callerAddress = func(context.Context) (netip.Addr, error) {
		t.Error("a rehearsal asks for this machine's address")
		return netip.Addr{}, errors.New("no")
	}
	w := newWorld(t)
	b.connect = func(ctx context.Context, ui packersdk.Ui) (*ec2api.Clients, error) {
		b.config.admitRehearsal(rehearsal.CallerIP)
		return ec2api.New(w.awsConfig(w), ""), nil
	}
	if _, err := b.Run(t.Context(), listener{&packersdk.BasicUi{}, &w.ui, w.answer}, &packersdk.MockHook{}); err != nil {
		t.Errorf("%v\n%s", err, w.ui.String())
	}
}

// When nobody answers at the instance's address, the error says which options
// decide about that.
func TestNoLogin(t *testing.T) {
	a := admit(t, map[string]any{"ssh_timeout": "1ms"}, "198.51.100.7", nil)
	for _, want := range []string{
		"logging in to i-", "Timeout waiting for SSH",
		"temporary_security_group_source_cidrs: only 198.51.100.7/32 may connect to port 22", "VPN",
		`ssh_username: "ubuntu"`, "ssh_timeout: ", "get-console-output --latest --instance-id i-",
	} {
		if a.err == nil || !strings.Contains(a.err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, a.err)
		}
	}
	if len(a.left) > 0 {
		t.Errorf("left behind: %v", a.left)
	}
}

func TestWhyNoLogin(t *testing.T) {
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
		{"the group", nil, []string{"192.0.2.1/32"}, reachable, timeout, "temporary_security_group_source_cidrs: only 192.0.2.1/32", "associate_public_ip_address"},
		{"the user's own group", map[string]any{"security_group_id": "sg-1"}, nil, reachable, timeout, "security_group_ids", "source_cidrs: only"},
		{"Systems Manager", map[string]any{"ssh_interface": "session_manager", "iam_instance_profile": "p"}, nil, ec2types.Instance{}, timeout, "AmazonSSMManagedInstanceCore", "source_cidrs"},
		{"a private address", map[string]any{"ssh_interface": "private_ip"}, []string{"0.0.0.0/0"}, ec2types.Instance{}, timeout, "source_cidrs", "associate_public_ip_address"},
		{"a host of the user's", map[string]any{"ssh_host": "bastion.example"}, []string{"192.0.2.1/32"}, ec2types.Instance{}, timeout, "source_cidrs", "associate_public_ip_address"},
		{"the user's name", nil, []string{"192.0.2.1/32"}, reachable, errors.New("ssh: handshake failed: ssh: unable to authenticate"), `ssh_username: "ubuntu"`, "source_cidrs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := map[string]any{"region": "us-east-1"}
			maps.Copy(config, test.config)
			var b Builder
			if _, _, err := b.Prepare(config); err != nil {
				t.Fatal(err)
			}
			j := &build{config: &b.config, admitted: test.admitted, clients: ec2api.New(aws.Config{Region: "us-east-1"}, "")}
			causes := j.whyNoLogin(test.instance, b.config.Comm.Host(), test.err)
			if !strings.Contains(causes[0], test.first) || strings.Contains(strings.Join(causes, "\n"), test.not) {
				t.Errorf("want first %q and not %q:\n%s", test.first, test.not, strings.Join(causes, "\n"))
			}
		})
	}
}
