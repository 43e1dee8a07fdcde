// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestJudgeDevices(t *testing.T) {
	image := ec2types.Image{ImageId: aws.String("ami-1"), RootDeviceName: aws.String("/dev/sda1"), BlockDeviceMappings: []ec2types.BlockDeviceMapping{
		{DeviceName: aws.String("/dev/sda1"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(20), Encrypted: aws.Bool(true)}},
		{DeviceName: aws.String("/dev/sdb"), VirtualName: aws.String("ephemeral0")},
	}}
	amazon := ec2types.Image{ImageId: aws.String("ami-2"), RootDeviceName: aws.String("/dev/xvda"), BlockDeviceMappings: []ec2types.BlockDeviceMapping{
		{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}},
	}}
	volume := func(name string, size int32, goes bool) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &name, Ebs: &ec2types.EbsBlockDevice{VolumeSize: &size, DeleteOnTermination: &goes}}
	}
	none := ec2types.BlockDeviceMapping{DeviceName: aws.String("/dev/sda1"), NoDevice: aws.String("")}
	plain := volume("/dev/sda1", 30, true)
	plain.Ebs.Encrypted = aws.Bool(false)
	copied := volume("/dev/xvda", 30, false)
	copied.Ebs.SnapshotId = aws.String("snap-1")
	for name, test := range map[string]struct {
		image   ec2types.Image
		devices []ec2types.BlockDeviceMapping
		want    string
		warning bool
	}{
		"the root, larger":                {image, []ec2types.BlockDeviceMapping{volume("/dev/sda1", 50, true)}, "", false},
		"another name for the root":       {image, []ec2types.BlockDeviceMapping{volume("/dev/xvda", 50, true)}, `"/dev/xvda" adds a second, blank disk: the root device of the source image ami-1 is "/dev/sda1"; set device_name = "/dev/sda1"`, false},
		"another name, without a folder":  {image, []ec2types.BlockDeviceMapping{volume("xvda", 50, true)}, `"xvda" adds a second`, false},
		"another name, as on Nitro":       {image, []ec2types.BlockDeviceMapping{volume("/dev/nvme0n1", 50, true)}, `"/dev/nvme0n1" adds a second`, false},
		"Ubuntu's name on Amazon's image": {amazon, []ec2types.BlockDeviceMapping{volume("/dev/sda1", 50, true)}, `set device_name = "/dev/xvda"`, false},
		"smaller than the image":          {image, []ec2types.BlockDeviceMapping{volume("/dev/sda1", 8, true)}, "volume_size: got 8 GiB for /dev/sda1, which has 20 GiB", false},
		"decrypted":                       {image, []ec2types.BlockDeviceMapping{plain}, "encrypted: got false, but the snapshot", false},
		"no root":                         {image, []ec2types.BlockDeviceMapping{none}, "/dev/sda1 is the root device", false},
		"a disk that is deleted":          {image, []ec2types.BlockDeviceMapping{volume("/dev/sdf", 50, true)}, "", false},
		"a disk that is kept":             {image, []ec2types.BlockDeviceMapping{volume("/dev/sdf", 50, false)}, "/dev/sdf adds a blank disk", true},
		"a disk of launch and image":      {image, []ec2types.BlockDeviceMapping{volume("/dev/sdf", 50, true), volume("/dev/sdf", 50, false)}, "", false},
		"a disk with a snapshot":          {image, []ec2types.BlockDeviceMapping{copied}, "", false},
	} {
		var devices []Device
		for _, d := range test.devices {
			devices = append(devices, Device{"launch_block_device_mappings[0]", d})
		}
		findings := judgeDevices(test.image, devices)
		switch {
		case test.want == "" && len(findings) > 0:
			t.Errorf("%s: got %v", name, findings)
		case test.want != "" && (len(findings) != 1 || !strings.Contains(findings[0].String(), test.want) || findings[0].Warning != test.warning):
			t.Errorf("%s: got %v, want %s", name, findings, test.want)
		}
	}
}

func TestJudgeHardware(t *testing.T) {
	info := ec2types.InstanceTypeInfo{
		SupportedBootModes: []ec2types.BootModeType{"legacy-bios"}, SupportedVirtualizationTypes: []ec2types.VirtualizationType{"hvm"},
		NetworkInfo: &ec2types.NetworkInfo{EnaSupport: ec2types.EnaSupportRequired},
	}
	for want, image := range map[string]ec2types.Image{
		"":                            {BootMode: "uefi-preferred", VirtualizationType: "hvm", EnaSupport: aws.Bool(true)},
		"boot mode legacy-bios":       {BootMode: "uefi"},
		"virtualization hvm":          {VirtualizationType: "paravirtual"},
		"network interfaces with ENA": {EnaSupport: aws.Bool(false)},
	} {
		findings := judgeHardware(image, "g4dn.xlarge", info)
		if (want == "") != (len(findings) == 0) || want != "" && !strings.Contains(findings[0].String(), want) {
			t.Errorf("got %v, want %q", findings, want)
		}
	}
}

func TestExitOf(t *testing.T) {
	all, id := aws.String("0.0.0.0/0"), aws.String
	type route = ec2types.Route
	for name, test := range map[string]struct {
		routes []route
		want   string
	}{
		"a gateway":                       {[]route{{DestinationCidrBlock: all, GatewayId: id("igw-1")}}, internet},
		"a gateway for the caller's net":  {[]route{{DestinationCidrBlock: id("192.0.2.0/24"), GatewayId: id("igw-1")}}, internet},
		"a gateway for a prefix list":     {[]route{{DestinationPrefixListId: id("pl-1"), GatewayId: id("igw-1")}}, internet},
		"a firewall endpoint":             {[]route{{DestinationCidrBlock: all, GatewayId: id("vpce-1")}}, internet},
		"a firewall for the caller's net": {[]route{{DestinationCidrBlock: id("192.0.2.0/24"), GatewayId: id("vpce-1")}}, internet},
		"an appliance's interface":        {[]route{{DestinationCidrBlock: all, NetworkInterfaceId: id("eni-1")}}, internet},
		"an appliance":                    {[]route{{DestinationCidrBlock: all, InstanceId: id("i-1")}}, internet},
		"a carrier gateway":               {[]route{{DestinationCidrBlock: all, CarrierGatewayId: id("cagw-1")}}, internet},
		"a transit gateway":               {[]route{{DestinationCidrBlock: all, TransitGatewayId: id("tgw-1")}}, "tgw-1"},
		"a transit gateway, and a gateway for the caller's net": {[]route{
			{DestinationCidrBlock: all, TransitGatewayId: id("tgw-1")}, {DestinationCidrBlock: id("192.0.2.0/24"), GatewayId: id("igw-1")},
		}, internet},
		"a VPN":                     {[]route{{DestinationCidrBlock: all, GatewayId: id("vgw-1")}}, "vgw-1"},
		"an Outpost's gateway":      {[]route{{DestinationCidrBlock: all, LocalGatewayId: id("lgw-1")}}, "lgw-1"},
		"a dead gateway":            {[]route{{DestinationCidrBlock: all, GatewayId: id("igw-1"), State: ec2types.RouteStateBlackhole}}, ""},
		"an endpoint of S3":         {[]route{{DestinationPrefixListId: id("pl-1"), GatewayId: id("vpce-1")}}, ""},
		"a firewall between nets":   {[]route{{DestinationCidrBlock: id("10.0.0.0/8"), GatewayId: id("vpce-1")}}, ""},
		"a peer's appliance":        {[]route{{DestinationCidrBlock: id("10.0.0.0/8"), NetworkInterfaceId: id("eni-1")}}, ""},
		"a peer":                    {[]route{{DestinationCidrBlock: id("10.0.0.0/8"), VpcPeeringConnectionId: id("pcx-1")}}, ""},
		"a NAT gateway":             {[]route{{DestinationCidrBlock: all, NatGatewayId: id("nat-1")}}, ""},
		"the local route":           {[]route{{DestinationCidrBlock: id("10.0.0.0/16"), GatewayId: id("local")}}, ""},
		"IPv6 only":                 {[]route{{DestinationIpv6CidrBlock: id("::/0"), GatewayId: id("igw-1")}}, ""},
		"an egress-only gateway":    {[]route{{DestinationIpv6CidrBlock: id("::/0"), EgressOnlyInternetGatewayId: id("eigw-1")}}, ""},
		"IPv6 through an appliance": {[]route{{DestinationIpv6CidrBlock: id("::/0"), NetworkInterfaceId: id("eni-1")}, {DestinationCidrBlock: all, NatGatewayId: id("nat-1")}}, ""},
	} {
		if got := exitOf(ec2types.RouteTable{Routes: test.routes}); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestCountsAgainstQuota(t *testing.T) {
	for _, test := range []struct {
		instance ec2types.Instance
		want     bool
	}{
		{ec2types.Instance{}, true},
		{ec2types.Instance{InstanceLifecycle: ec2types.InstanceLifecycleTypeSpot}, true},
		{ec2types.Instance{InstanceLifecycle: ec2types.InstanceLifecycleTypeCapacityBlock}, false},
		{ec2types.Instance{Placement: &ec2types.Placement{Tenancy: ec2types.TenancyHost}}, false},
		{ec2types.Instance{Placement: &ec2types.Placement{Tenancy: ec2types.TenancyDedicated}}, true},
	} {
		if got := countsAgainstQuota(test.instance); got != test.want {
			t.Errorf("%+v: got %v", test.instance, got)
		}
	}
}
