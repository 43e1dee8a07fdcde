// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// admitting is the result of a build: the rules of its temporary security group at the
// launch of the instance, and the number of look-ups of this machine's address.
type admitting struct {
	lookups int
	rules   []string // "port from block"
	said    string
	err     error
	left    []string
	calls   map[string]int // in the build's region
}

func admit(t *testing.T, config map[string]any, address string, unknown error) (a admitting) {
	t.Helper()
	w := newWorld(t)
	raw := map[string]any{"region": "eu-central-1", "ami_name": "admit", "skip_create_ami": true, "temporary_key_pair_type": "ed25519"}
	maps.Copy(raw, config)
	var private []string
	if kinds, ok := raw["subnets"].(string); ok { // a letter for each: public or private
		delete(raw, "subnets")
		out, err := w.client("eu-central-1").DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for i, kind := range kinds {
			id := aws.ToString(out.Subnets[i].SubnetId)
			if ids = append(ids, id); kind == '-' {
				private = append(private, id)
			}
		}
		raw["subnet_ids"] = ids
	}
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	b.config.Rehearsal = true // for its short waits; callerAddress replaces its address
	b.callerAddress = func(context.Context) (netip.Addr, error) {
		a.lookups++
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
			t.Errorf("got groups %v, %v, want one temporary group", groups, err)
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
				t.Errorf("got open ports %d to %d, want 22", *rule.FromPort, *rule.ToPort)
			}
		}
	}
	b.connect = func(context.Context, packersdk.Ui) (*awsclient.Clients, error) {
		return awsclient.New(w.awsConfig(privateSubnets{l, private}), ""), nil
	}
	_, a.err = b.Run(t.Context(), listener{&packersdk.BasicUi{}, &w.ui, w.answer}, &packersdk.MockHook{})
	a.said, a.left, a.calls = w.ui.String(), w.left(), w.aws.Calls()["eu-central-1"]
	return a
}

// TestTemporaryGroupSources: the temporary group allows only the required sources. This machine's
// address is looked up only if a rule needs it.
func TestTemporaryGroupSources(t *testing.T) {
	// The fake AWS has no instances that accept a login.
	nobody := map[string]any{"ssh_timeout": "1ms"}
	for _, test := range []struct {
		name    string
		config  map[string]any
		address string
		rules   []string
		lookups int
	}{
		{"the caller", nil, "198.51.100.7", []string{"198.51.100.7/32"}, 1},
		{"the caller, by IPv6", nil, "2001:db8::7", []string{"2001:db8::7/128"}, 1},
		{"CIDRs of the user", map[string]any{"temporary_security_group_source_cidrs": []string{"203.0.113.0/24", "2001:db8::/32"}}, "", []string{"203.0.113.0/24", "2001:db8::/32"}, 0},
		{"no source without a communicator", map[string]any{"communicator": "none"}, "", nil, 0},
		{"no source with Systems Manager", map[string]any{"ssh_interface": "session_manager", "iam_instance_profile": "p", "skip_profile_validation": true, "pause_before_ssm": "1ms"}, "", nil, 0},
		{"any source in a private subnet", map[string]any{"subnets": "-"}, "", []string{"0.0.0.0/0"}, 0},
		{"any source in private subnets", map[string]any{"subnets": "--"}, "", []string{"0.0.0.0/0"}, 0},
		{"the caller in a public subnet", map[string]any{"subnets": "+"}, "198.51.100.7", []string{"198.51.100.7/32"}, 1},
		{"the caller and private networks in public and private subnets", map[string]any{"subnets": "+-"}, "198.51.100.7",
			[]string{"198.51.100.7/32", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"}, 1},
		{"the caller with a public address requested", map[string]any{"subnets": "-", "associate_public_ip_address": true}, "198.51.100.7", []string{"198.51.100.7/32"}, 1},
		{"any source with a public address declined", map[string]any{"subnets": "+", "associate_public_ip_address": false}, "", []string{"0.0.0.0/0"}, 0},
		{"CIDRs of the user in a private subnet", map[string]any{"subnets": "-", "temporary_security_group_source_cidrs": []string{"10.1.0.0/16"}}, "", []string{"10.1.0.0/16"}, 0},
		{"any source for a private address", map[string]any{"ssh_interface": "private_ip"}, "", []string{"0.0.0.0/0"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := maps.Clone(nobody)
			maps.Copy(config, test.config)
			a := admit(t, config, test.address, nil)
			if !slices.Equal(a.rules, test.rules) || a.lookups != test.lookups {
				t.Errorf("got sources %q after %d address look-ups, want %q after %d\n%v\n%s", a.rules, a.lookups, test.rules, test.lookups, a.err, a.said)
			}
			if open := strings.Contains(a.said, "Allowing connections to port"); open != slices.Contains(test.rules, "0.0.0.0/0") {
				t.Errorf("output mentions open access: got %v\n%s", open, a.said)
			}
			if len(a.left) > 0 {
				t.Errorf("got leftover resources %v, want none", a.left)
			}
		})
	}
}

// privateSubnets makes some subnets appear private: without automatic public addresses.
type privateSubnets struct {
	http.RoundTripper
	ids []string
}

func (p privateSubnets) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := p.RoundTripper.RoundTrip(r)
	if err != nil || len(p.ids) == 0 {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	items := strings.Split(string(body), "</item>")
	for i, item := range items {
		if slices.ContainsFunc(p.ids, func(id string) bool { return strings.Contains(item, "<subnetId>"+id+"</subnetId>") }) {
			items[i] = strings.ReplaceAll(item, "<mapPublicIpOnLaunch>true<", "<mapPublicIpOnLaunch>false<")
		}
	}
	answer.Body = io.NopCloser(strings.NewReader(strings.Join(items, "</item>")))
	answer.ContentLength = -1
	return answer, nil
}

// TestUnknownCallerAddress: a failed look-up of the caller's address creates
// nothing, and the error names the option that avoids it.
func TestUnknownCallerAddress(t *testing.T) {
	a := admit(t, nil, "", errors.New("no route"))
	if a.err == nil || !strings.Contains(a.err.Error(), "temporary_security_group_source_cidrs") || !strings.Contains(a.err.Error(), "no route") {
		t.Errorf("got error %v, want the cause and temporary_security_group_source_cidrs", a.err)
	}
	for _, action := range []string{"CreateKeyPair", "CreateSecurityGroup", "RunInstances"} {
		// The preflight's dry run counts as one call.
		if n := a.calls[action]; n > 1 || len(a.left) > 0 {
			t.Errorf("got %d calls of %s and leftover resources %v", n, action, a.left)
		}
	}
}

// TestRehearsalSkipsCallerLookup: a rehearsal never connects to an external host.
func TestRehearsalSkipsCallerLookup(t *testing.T) {
	var b Builder
	state := t.TempDir()
	if _, _, err := b.Prepare(map[string]any{"rehearsal": true, "rehearsal_state": state, "rehearsal_instance": "none", "rehearsal_latency": "instant", "region": "eu-central-1", "skip_create_ami": true}); err != nil {
		t.Fatal(err)
	}
	b.callerAddress = func(context.Context) (netip.Addr, error) {
		t.Error("a rehearsal looks up this machine's address")
		return netip.Addr{}, errors.New("no")
	}
	w := newWorld(t)
	b.connect = func(ctx context.Context, ui packersdk.Ui) (*awsclient.Clients, error) {
		admitRehearsal(&b.config, rehearsal.CallerIP)
		return awsclient.New(w.awsConfig(w), ""), nil
	}
	if _, err := b.Run(t.Context(), listener{&packersdk.BasicUi{}, &w.ui, w.answer}, &packersdk.MockHook{}); err != nil {
		t.Errorf("%v\n%s", err, w.ui.String())
	}
}

// TestLoginTimeoutNamesOptions: if the instance cannot be reached, the error lists the options that
// control access.
func TestLoginTimeoutNamesOptions(t *testing.T) {
	a := admit(t, map[string]any{"ssh_timeout": "1ms"}, "198.51.100.7", nil)
	for _, want := range []string{
		"logging in to i-", "Timeout waiting for SSH",
		"temporary_security_group_source_cidrs: only 198.51.100.7/32 may connect to port 22", "VPN",
		`ssh_username: "ubuntu"`, "ssh_timeout: ", "get-console-output --latest --instance-id i-",
	} {
		if a.err == nil || !strings.Contains(a.err.Error(), want) {
			t.Errorf("got error without %q:\n%v", want, a.err)
		}
	}
	if len(a.left) > 0 {
		t.Errorf("got leftover resources %v, want none", a.left)
	}
}
