// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// TestMayUseFleet: a fleet may be used unless the configuration has one type and place
// for each request, or excludes it.
func TestMayUseFleet(t *testing.T) {
	two := []string{"g4dn.xlarge", "g5.xlarge"}
	filter := func(more map[string]any) map[string]any {
		block := map[string]any{"filters": map[string]string{"default-for-az": "true"}}
		maps.Copy(block, more)
		return block
	}
	for name, test := range map[string]struct {
		config map[string]any
		want   bool
	}{
		"on demand":                  {map[string]any{"instance_types": two}, false},
		"spot":                       {map[string]any{"markets": []string{"spot"}}, true},
		"a strategy":                 {map[string]any{"markets": []string{"spot"}, "spot_allocation_strategy": "lowest-price"}, true},
		"an unknown strategy":        {map[string]any{"markets": []string{"spot"}, "spot_allocation_strategy": "<unknown>"}, true},
		"in order":                   {map[string]any{"markets": []string{"spot"}, "spot_allocation_strategy": "in-order"}, false},
		"one zone":                   {map[string]any{"markets": []string{"spot"}, "availability_zone": "us-east-1a"}, false},
		"a list of one zone":         {map[string]any{"markets": []string{"spot"}, "availability_zones": []string{"us-east-1a"}}, false},
		"two zones":                  {map[string]any{"markets": []string{"spot"}, "availability_zones": []string{"us-east-1a", "us-east-1b"}}, true},
		"one subnet":                 {map[string]any{"markets": []string{"spot"}, "subnet_id": "subnet-0123456789abcdef0"}, false},
		"a list of one subnet":       {map[string]any{"markets": []string{"spot"}, "subnet_ids": []string{"subnet-0123456789abcdef0"}}, false},
		"the subnets of a VPC":       {map[string]any{"markets": []string{"spot"}, "vpc_id": "vpc-0123456789abcdef0", "availability_zone": "us-east-1a"}, true},
		"the subnets of a filter":    {map[string]any{"markets": []string{"spot"}, "subnet_filter": filter(nil)}, true},
		"one subnet of a filter":     {map[string]any{"markets": []string{"spot"}, "subnet_filter": filter(map[string]any{"random": true})}, false},
		"two types in one zone":      {map[string]any{"markets": []string{"spot"}, "availability_zone": "us-east-1a", "instance_types": two}, true},
		"two types and markets":      {map[string]any{"markets": []string{"spot", "on-demand"}, "availability_zone": "us-east-1a", "instance_types": two}, false},
		"two types, markets, places": {map[string]any{"markets": []string{"spot", "on-demand"}, "instance_types": two}, true},
	} {
		t.Run(name, func(t *testing.T) {
			raw := map[string]any{"region": "us-east-1"}
			maps.Copy(raw, test.config)
			var c Config
			if _, err := c.Prepare(raw); err != nil {
				t.Fatal(err)
			}
			if got := c.MayUseFleet(); got != test.want || c.PolicyNeeds("us-east-1").Fleet != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// TestLaunchTemplateData: the data of a launch template has all that the launch request
// has, except what the fleet has.
func TestLaunchTemplateData(t *testing.T) {
	arn := "arn:aws:license-manager:us-east-1:111122223333:license-configuration:lic-0123456789abcdef0123456789abcdef"
	var c Config
	if _, err := c.Prepare(map[string]any{
		"region": "us-east-1", "markets": []string{"spot"}, "instance_type": "t3.micro", "enable_unlimited_credits": true, "tenancy": "dedicated",
		"associate_public_ip_address": true, "ssh_keypair_name": "mine", "ssh_agent_auth": true,
		"metadata_options":             map[string]any{"http_tokens": "required", "http_put_response_hop_limit": 2, "instance_metadata_tags": "enabled"},
		"license_specifications":       []map[string]any{{"license_configuration_request": map[string]any{"license_configuration_arn": arn}}},
		"launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sda1", "volume_type": "gp3", "volume_size": 40, "iops": 4000, "throughput": 200, "encrypted": true, "kms_key_id": "alias/k", "delete_on_termination": true}},
	}); err != nil {
		t.Fatal(err)
	}
	run, err := c.RunInstancesInput(LaunchRequest{
		Attempt: launch.Attempt{Type: "t3.micro", Market: launch.Spot, Place: launch.Place{Zone: "us-east-1a", Subnet: "subnet-0123456789abcdef0"}},
		Source:  &ec2types.Image{ImageId: aws.String("ami-0123456789abcdef0"), RootDeviceType: ec2types.DeviceTypeEbs}, Profile: "miner", Groups: []string{"sg-0123456789abcdef0"}, UserData: "Zm9v",
	})
	if err != nil {
		t.Fatal(err)
	}
	run.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume, Tags: []ec2types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
	want, got := leaves(t, run), leaves(t, LaunchTemplateData(run))
	for _, of := range []string{
		"ClientToken", "InstanceType", "MaxCount", "MinCount", "Placement.AvailabilityZone", "InstanceMarketOptions.MarketType", "InstanceMarketOptions.SpotOptions.SpotInstanceType",
		"NetworkInterfaces.0.SubnetId",
	} {
		delete(want, of)
	}
	if !maps.Equal(want, got) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	for _, some := range []string{"CreditSpecification.CpuCredits", "LicenseSpecifications.0.LicenseConfigurationArn", "NetworkInterfaces.0.Groups.0", "BlockDeviceMappings.0.Ebs.Throughput", "MetadataOptions.HttpTokens"} {
		if got[some] == nil {
			t.Errorf("got no %s", some)
		}
	}
	without := LaunchTemplateData(&ec2.RunInstancesInput{Placement: &ec2types.Placement{AvailabilityZone: aws.String("us-east-1a")}})
	if without.Placement != nil {
		t.Error("got an empty placement")
	}
}

// leaves returns the values of a request that are set, by path.
func leaves(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	var walk func(path []string, v any)
	walk = func(path []string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				walk(append(slices.Clone(path), k), child)
			}
		case []any:
			for i, child := range v {
				walk(append(slices.Clone(path), string(rune('0'+i))), child)
			}
		case nil:
		default:
			if v != "" && v != 0.0 {
				all[strings.Join(path, ".")] = v
			}
		}
	}
	walk(nil, tree)
	return all
}
