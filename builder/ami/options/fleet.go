// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// inOrder is the value of spot_allocation_strategy without a fleet.
const inOrder = "in-order"

// strategies are the values of spot_allocation_strategy; the first is the default.
var strategies = []string{
	string(ec2types.SpotAllocationStrategyPriceCapacityOptimized), string(ec2types.SpotAllocationStrategyCapacityOptimized),
	string(ec2types.SpotAllocationStrategyCapacityOptimizedPrioritized), string(ec2types.SpotAllocationStrategyLowestPrice), inOrder,
}

// takeStrategy checks spot_allocation_strategy, and moves it where amazon-ebs's checks,
// which do not know inOrder, do not see it.
func (o *LaunchConfig) takeStrategy(c *Config) error {
	o.strategy, c.SpotAllocationStrategy = cmp.Or(c.SpotAllocationStrategy, strategies[0]), ""
	want := `want "` + strings.Join(strategies[:len(strategies)-1], `", "`) + `" or "` + inOrder + `"`
	switch {
	case slices.Contains(strategies, o.strategy), o.strategy == hclvalue.Unknown:
		return nil
	case o.strategy == string(ec2types.SpotAllocationStrategyDiversified):
		return fmt.Errorf("spot_allocation_strategy: got \"diversified\", which spreads several instances, but a build launches one; %s; "+
			"remove it for the default, %q", want, strategies[0])
	}
	return fmt.Errorf("spot_allocation_strategy: got %q, %s", o.strategy, want)
}

// SpotStrategy returns how EC2 chooses the type and the place of a spot instance.
func (c *Config) SpotStrategy() string { return c.strategy }

// MayUseFleet reports whether a fleet may launch the spot instance, which depends on
// the number of places.
func (c *Config) MayUseFleet() bool {
	if !c.may(launch.Spot) || c.strategy == inOrder {
		return false
	}
	searches := c.VpcId != "" || !c.VpcFilter.Empty() || !c.SubnetFilter.Empty()
	onePlace := c.SubnetId != "" || len(c.SubnetIds) == 1 ||
		len(c.SubnetIds) == 0 && (c.AvailabilityZone != "" || len(c.AvailabilityZones) == 1) && !searches ||
		searches && (c.SubnetFilter.MostFree || c.SubnetFilter.Random)
	return !onePlace || len(c.InstanceTypes) > 1 && len(c.Markets) == 1
}

// Together reports whether one fleet may make two consecutive launch attempts. The
// types of a launch template have the same CPU credits.
func (c *Config) Together(a, b launch.Attempt) bool {
	return a.Market == launch.Spot && b.Market == launch.Spot && c.strategy != inOrder && Burstable(a.Type) == Burstable(b.Type)
}

// Burstable reports whether instances of a type earn CPU credits.
func Burstable(instanceType string) bool { return burstable.MatchString(instanceType) }

// LaunchTemplateData returns a launch request as the data of a launch template, without
// what the fleet's overrides have: the type, the place and the maximum price. The tags
// are here, as CreateFleet accepts none for volumes, network interfaces and spot
// requests.
func LaunchTemplateData(in *ec2.RunInstancesInput) *ec2types.RequestLaunchTemplateData {
	data := &ec2types.RequestLaunchTemplateData{
		ImageId:                           in.ImageId,
		EbsOptimized:                      in.EbsOptimized,
		InstanceInitiatedShutdownBehavior: in.InstanceInitiatedShutdownBehavior,
		UserData:                          in.UserData,
		KeyName:                           in.KeyName,
		SecurityGroupIds:                  in.SecurityGroupIds,
		CreditSpecification:               in.CreditSpecification,
	}
	if p := in.Placement; p != nil && (p.Tenancy != "" || p.HostId != nil || p.HostResourceGroupArn != nil) {
		data.Placement = &ec2types.LaunchTemplatePlacementRequest{Tenancy: p.Tenancy, HostId: p.HostId, HostResourceGroupArn: p.HostResourceGroupArn}
	}
	if p := in.IamInstanceProfile; p != nil {
		data.IamInstanceProfile = &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: p.Name}
	}
	if e := in.EnclaveOptions; e != nil {
		data.EnclaveOptions = &ec2types.LaunchTemplateEnclaveOptionsRequest{Enabled: e.Enabled}
	}
	if m := in.MetadataOptions; m != nil {
		data.MetadataOptions = &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpEndpoint:            ec2types.LaunchTemplateInstanceMetadataEndpointState(m.HttpEndpoint),
			HttpTokens:              ec2types.LaunchTemplateHttpTokensState(m.HttpTokens),
			HttpPutResponseHopLimit: m.HttpPutResponseHopLimit,
			InstanceMetadataTags:    ec2types.LaunchTemplateInstanceMetadataTagsState(m.InstanceMetadataTags),
		}
	}
	for _, license := range in.LicenseSpecifications {
		data.LicenseSpecifications = append(data.LicenseSpecifications, ec2types.LaunchTemplateLicenseConfigurationRequest{LicenseConfigurationArn: license.LicenseConfigurationArn})
	}
	for _, device := range in.BlockDeviceMappings {
		mapping := ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: device.DeviceName, NoDevice: device.NoDevice, VirtualName: device.VirtualName}
		if ebs := device.Ebs; ebs != nil {
			mapping.Ebs = &ec2types.LaunchTemplateEbsBlockDeviceRequest{
				DeleteOnTermination: ebs.DeleteOnTermination, Encrypted: ebs.Encrypted, Iops: ebs.Iops, KmsKeyId: ebs.KmsKeyId,
				SnapshotId: ebs.SnapshotId, Throughput: ebs.Throughput, VolumeSize: ebs.VolumeSize, VolumeType: ebs.VolumeType,
			}
		}
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, mapping)
	}
	for _, card := range in.NetworkInterfaces {
		data.NetworkInterfaces = append(data.NetworkInterfaces, ec2types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{
			DeviceIndex: card.DeviceIndex, AssociatePublicIpAddress: card.AssociatePublicIpAddress, Groups: card.Groups, DeleteOnTermination: card.DeleteOnTermination,
		})
	}
	for _, spec := range in.TagSpecifications {
		data.TagSpecifications = append(data.TagSpecifications, ec2types.LaunchTemplateTagSpecificationRequest{ResourceType: spec.ResourceType, Tags: spec.Tags})
	}
	return data
}

// FleetInput returns the request of a fleet that makes the attempts with a launch
// template, without its tags. The order of the attempts is their priority.
func (c *Config) FleetInput(token, template string, attempts []launch.Attempt) *ec2.CreateFleetInput {
	var overrides []ec2types.FleetLaunchTemplateOverridesRequest
	for i, attempt := range attempts {
		override := ec2types.FleetLaunchTemplateOverridesRequest{InstanceType: ec2types.InstanceType(attempt.Type), MaxPrice: c.spot().SpotOptions.MaxPrice}
		if c.strategy == string(ec2types.SpotAllocationStrategyCapacityOptimizedPrioritized) {
			override.Priority = aws.Float64(float64(i))
		}
		switch place := attempt.Place; {
		case place.Subnet != "":
			override.SubnetId = aws.String(place.Subnet)
		case place.Zone != "":
			override.AvailabilityZone = aws.String(place.Zone)
		}
		overrides = append(overrides, override)
	}
	return &ec2.CreateFleetInput{
		ClientToken: aws.String(token),
		Type:        ec2types.FleetTypeInstant,
		TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: ec2types.DefaultTargetCapacityTypeSpot,
		},
		SpotOptions: &ec2types.SpotOptionsRequest{AllocationStrategy: ec2types.SpotAllocationStrategy(c.strategy)},
		LaunchTemplateConfigs: []ec2types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &ec2types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: aws.String(template), Version: aws.String("1")},
			Overrides:                   overrides,
		}},
	}
}
