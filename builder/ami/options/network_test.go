// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// fakeNetwork has three VPCs, one of them empty, and counts the calls.
type fakeNetwork struct {
	subnets []ec2types.Subnet
	denied  bool
	calls   []string
}

func aSubnet(id, vpc, zone string, free int32, public, isDefault bool) ec2types.Subnet {
	return ec2types.Subnet{SubnetId: aws.String(id), VpcId: aws.String(vpc), AvailabilityZone: aws.String(zone),
		AvailableIpAddressCount: aws.Int32(free), MapPublicIpOnLaunch: aws.Bool(public), DefaultForAz: aws.Bool(isDefault)}
}

func newNetwork() *fakeNetwork {
	return &fakeNetwork{subnets: []ec2types.Subnet{
		aSubnet("subnet-db", "vpc-default", "b", 9, true, true),
		aSubnet("subnet-da", "vpc-default", "a", 9, true, true),
		aSubnet("subnet-1", "vpc-1", "a", 5, false, false),
		aSubnet("subnet-2", "vpc-1", "b", 7, true, false),
		aSubnet("subnet-3", "vpc-1", "a", 1, true, false),
	}}
}

func (f *fakeNetwork) refuse(action string) error {
	f.calls = append(f.calls, action)
	if f.denied {
		return &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "no"}
	}
	return nil
}

func (f *fakeNetwork) DescribeSubnets(_ context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	out := &ec2.DescribeSubnetsOutput{}
	for _, s := range f.subnets {
		ok := len(in.SubnetIds) == 0 || slices.Contains(in.SubnetIds, aws.ToString(s.SubnetId))
		for _, filter := range in.Filters {
			value := map[string]string{
				"vpc-id": aws.ToString(s.VpcId), "availability-zone": aws.ToString(s.AvailabilityZone), "state": "available", "tag:Kind": "ours",
				"default-for-az": map[bool]string{true: "true", false: "false"}[aws.ToBool(s.DefaultForAz)],
			}[aws.ToString(filter.Name)]
			ok = ok && slices.Contains(filter.Values, value)
		}
		if ok {
			out.Subnets = append(out.Subnets, s)
		}
	}
	return out, f.refuse("DescribeSubnets")
}

func (f *fakeNetwork) DescribeVpcs(_ context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	out := &ec2.DescribeVpcsOutput{}
	for _, filter := range in.Filters {
		if aws.ToString(filter.Name) == "tag:Name" {
			for _, name := range filter.Values {
				out.Vpcs = append(out.Vpcs, ec2types.Vpc{VpcId: aws.String("vpc-" + name)})
			}
		}
	}
	return out, f.refuse("DescribeVpcs")
}

func TestNetwork(t *testing.T) {
	filter := func(more map[string]any) map[string]any {
		f := map[string]any{"filters": map[string]string{"tag:Kind": "ours"}}
		maps.Copy(f, more)
		return f
	}
	for _, test := range []struct {
		name   string
		config map[string]any
		denied bool
		vpc    string
		places string // "zone/subnet", in order
		calls  string
		err    string
		said   string
	}{
		{"EC2's choice, then the zones", nil, false, "", "/ a/ b/", "DescribeSubnets", "", ""},
		{"EC2's choice without permission to list the zones", nil, true, "", "/", "DescribeSubnets", "", ""},
		{"a zone", map[string]any{"availability_zone": "b"}, false, "", "b/", "", "", ""},
		{"zones keep their order", map[string]any{"availability_zones": []string{"b", "a"}}, false, "", "b/ a/", "", "", ""},
		{"a subnet", map[string]any{"subnet_id": "subnet-1"}, false, "vpc-1", "a/subnet-1", "DescribeSubnets", "", ""},
		{"a subnet with all attributes set", map[string]any{"subnet_id": "subnet-9", "vpc_id": "vpc-9", "availability_zone": "z"}, false, "vpc-9", "z/subnet-9", "", "", ""},
		{"a subnet in another zone", map[string]any{"subnet_id": "subnet-1", "availability_zone": "b"}, false, "", "", "DescribeSubnets", `availability_zone: got "b", but subnet-1 is in a`, ""},
		{"a subnet in another VPC", map[string]any{"subnet_id": "subnet-1", "vpc_id": "vpc-default"}, false, "", "", "DescribeSubnets", "subnet-1 is in vpc-1", ""},
		{"subnets keep their order", map[string]any{"subnet_ids": []string{"subnet-2", "subnet-1"}}, false, "vpc-1", "b/subnet-2 a/subnet-1", "DescribeSubnets", "", ""},
		{"subnets of two VPCs", map[string]any{"subnet_ids": []string{"subnet-1", "subnet-da"}}, false, "", "", "DescribeSubnets", "want one VPC", ""},
		{"a VPC: its subnets, public ones first", map[string]any{"vpc_id": "vpc-1"}, false, "vpc-1", "a/subnet-3 b/subnet-2 a/subnet-1", "DescribeSubnets", "", "Found subnets subnet-3"},
		{"a VPC in zones", map[string]any{"vpc_id": "vpc-1", "availability_zones": []string{"b", "a"}}, false, "vpc-1", "b/subnet-2 a/subnet-3 a/subnet-1", "DescribeSubnets", "", ""},
		{"a VPC without subnets", map[string]any{"vpc_id": "vpc-2"}, false, "", "", "DescribeSubnets", "vpc_id: vpc-2: found no available subnet", ""},
		{"a VPC without permission to list its subnets", map[string]any{"vpc_id": "vpc-1"}, true, "", "", "DescribeSubnets", "vpc_id: vpc-1: looking for subnets", ""},
		{"a VPC filter", map[string]any{"vpc_filter": map[string]any{"filters": map[string]string{"tag:Name": "1"}}}, false, "vpc-1", "a/subnet-3 b/subnet-2 a/subnet-1", "DescribeVpcs DescribeSubnets", "", "Found VPC vpc-1"},
		{"a VPC filter that matches two", map[string]any{"vpc_filter": map[string]any{"filters": map[string]string{"tag:Name": "1,default"}}}, false, "", "", "DescribeVpcs", "matches 2 VPCs", ""},
		{"a subnet filter that matches one VPC", map[string]any{"vpc_id": "vpc-1", "subnet_filter": filter(nil)}, false, "vpc-1", "a/subnet-3 b/subnet-2 a/subnet-1", "DescribeSubnets", "", ""},
		{"a subnet filter that matches several", map[string]any{"subnet_filter": filter(nil)}, false, "", "", "DescribeSubnets", "want one VPC", ""},
		{"the most free", map[string]any{"vpc_id": "vpc-1", "subnet_filter": filter(map[string]any{"most_free": true})}, false, "vpc-1", "b/subnet-2", "DescribeSubnets", "", ""},
		{"a public address: default subnets", map[string]any{"associate_public_ip_address": true}, false, "", "a/subnet-da b/subnet-db", "DescribeSubnets", "", ""},
		{"a public address in a zone", map[string]any{"associate_public_ip_address": true, "availability_zone": "b"}, false, "", "b/subnet-db", "DescribeSubnets", "", ""},
		{"a public address without permission", map[string]any{"associate_public_ip_address": true}, true, "", "/", "DescribeSubnets", "", "associate_public_ip_address: ignored"},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := map[string]any{"region": "eu-central-1"}
			maps.Copy(raw, test.config)
			var c Config
			if _, err := c.Prepare(raw); err != nil {
				t.Fatal(err)
			}
			client := newNetwork()
			client.denied = test.denied
			var said strings.Builder
			ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &said, ErrorWriter: &said}
			network := c.Network()
			network.Say, network.Complain = ui.Sayf, ui.Errorf
			vpc, places, err := network.Find(t.Context(), client)
			if calls := strings.Join(client.calls, " "); calls != test.calls {
				t.Errorf("got calls %q, want %q", calls, test.calls)
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got error without %q: %v", test.err, err)
				}
				return
			}
			var got []string
			for _, p := range places {
				got = append(got, p.Zone+"/"+p.Subnet)
			}
			if err != nil || vpc != test.vpc || strings.Join(got, " ") != test.places {
				t.Errorf("got VPC %q, places %v, error %v, want %q and %q", vpc, got, err, test.vpc, test.places)
			}
			if !strings.Contains(said.String(), test.said) {
				t.Errorf("got output %q, want %q", said.String(), test.said)
			}
		})
	}
}
