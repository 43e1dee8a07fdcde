// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packerconfig "github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

// profilePatience is how long EC2 may not know an instance profile that
// StepIamInstanceProfile has just made: IAM is eventually consistent.
const profilePatience = 2 * time.Minute

// stepLaunch runs the instance and waits until it runs.
type stepLaunch struct{}

func (stepLaunch) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	input, err := b.config.runInstancesInput(state, b.clients.Region())
	if err != nil {
		return halt(state, "launching: %w", err)
	}
	ui.Sayf("Launching one %s...", input.InstanceType)
	client := b.clients.EC2(b.clients.Region())
	out, err := runInstances(ctx, client, input)
	if err != nil {
		return halt(state, "launching one %s: %w", input.InstanceType, err)
	}
	instance := out.Instances[0]
	id := aws.ToString(instance.InstanceId)
	b.ledger.Add(ledger.Entry{Kind: ledger.Instance, Region: b.clients.Region(), ID: id})
	b.report.InstanceID, b.report.InstanceType = id, string(instance.InstanceType)
	b.report.Architecture = string(instance.Architecture)
	b.report.launched = time.Now()
	state.Put(keyInstance, instance)
	state.Put(keyInstanceID, id) // for provisioners, as build.ID
	ui.Sayf("Instance %s is starting", id)

	err = b.wait.Until(ctx, id+" to run", func(ctx context.Context) (bool, error) {
		found, err := describeInstance(ctx, client, id)
		if err != nil {
			return false, err
		}
		state.Put(keyInstance, found)
		switch found.State.Name {
		case ec2types.InstanceStateNamePending:
			return false, nil
		case ec2types.InstanceStateNameRunning:
			return true, nil
		default:
			why := "EC2 gives no reason"
			if found.StateReason != nil {
				why = aws.ToString(found.StateReason.Message)
			}
			return false, fmt.Errorf("it is %s: %s", found.State.Name, why)
		}
	})
	if err != nil {
		return halt(state, "launching: %w", err)
	}
	running, _ := instanceOf(state)
	if running.Placement != nil {
		b.report.Zone = aws.ToString(running.Placement.AvailabilityZone)
	}
	return multistep.ActionContinue
}

// runInstances launches. The call is not cut off by a cancel: the id of what it
// had started would be lost.
func runInstances(ctx context.Context, client *ec2.Client, input *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	deadline := time.Now().Add(profilePatience)
	for {
		out, err := client.RunInstances(context.WithoutCancel(ctx), input, ec2api.NoLaunchRetries)
		if !ec2api.IsNewProfileUnknown(err) || time.Now().After(deadline) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// Cleanup ends the instance if the build did not come to stepTerminate.
func (stepLaunch) Cleanup(state multistep.StateBag) {
	ctx, cancel := cleanupContext()
	defer cancel()
	if err := terminate(ctx, state); err != nil {
		uiOf(state).Errorf("%s", err)
		return
	}
	// The security group cannot go before the instance has.
	if err := awaitTerminated(ctx, state); err != nil {
		uiOf(state).Errorf("%s", err)
	}
}

func describeInstance(ctx context.Context, client ec2.DescribeInstancesAPIClient, id string) (ec2types.Instance, error) {
	out, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		return ec2types.Instance{}, err
	}
	for _, reservation := range out.Reservations {
		for _, instance := range reservation.Instances {
			if instance.State != nil {
				return instance, nil
			}
		}
	}
	return ec2types.Instance{}, &smithy.GenericAPIError{Code: "InvalidInstanceID.NotFound", Message: id + " is not there"}
}

// runInstancesInput is the launch as the configuration wants it.
func (c *Config) runInstancesInput(state multistep.StateBag, region string) (*ec2.RunInstancesInput, error) {
	source := state.Get(keySourceImage).(*ec2types.Image)
	if source.RootDeviceType != ec2types.DeviceTypeEbs {
		return nil, fmt.Errorf("source image %s has a root device of type %q; expected \"ebs\"",
			aws.ToString(source.ImageId), source.RootDeviceType)
	}
	input := &ec2.RunInstancesInput{
		ClientToken:                       aws.String(c.attempt),
		ImageId:                           source.ImageId,
		InstanceType:                      ec2types.InstanceType(c.InstanceType),
		MinCount:                          aws.Int32(1),
		MaxCount:                          aws.Int32(1),
		BlockDeviceMappings:               c.LaunchMappings.BuildEC2BlockDeviceMappings(),
		EbsOptimized:                      aws.Bool(c.EbsOptimized),
		InstanceInitiatedShutdownBehavior: ec2types.ShutdownBehavior(c.InstanceInitiatedShutdownBehavior),
		Placement:                         c.placement(state),
		MetadataOptions: &ec2types.InstanceMetadataOptionsRequest{
			HttpEndpoint:            ec2types.InstanceMetadataEndpointState(c.Metadata.HttpEndpoint),
			HttpTokens:              ec2types.HttpTokensState(c.Metadata.HttpTokens),
			HttpPutResponseHopLimit: aws.Int32(c.Metadata.HttpPutResponseHopLimit),
			InstanceMetadataTags:    ec2types.InstanceMetadataTagsState(c.Metadata.InstanceMetadataTags),
		},
		CapacityReservationSpecification: c.capacityReservation(),
	}
	if userData := buildOf(state).userData; userData != "" {
		input.UserData = aws.String(userData)
	}
	if c.Comm.SSHKeyPairName != "" {
		input.KeyName = aws.String(c.Comm.SSHKeyPairName)
	}
	if profile, _ := state.Get(keyProfile).(string); profile != "" {
		input.IamInstanceProfile = &ec2types.IamInstanceProfileSpecification{Name: aws.String(profile)}
	}
	if c.EnableNitroEnclave {
		input.EnclaveOptions = &ec2types.EnclaveOptionsRequest{Enabled: aws.Bool(true)}
	}
	if c.IsBurstableInstanceType() {
		credits := awscommon.CPUCreditsStandard
		if c.EnableUnlimitedCredits {
			credits = awscommon.CPUCreditsUnlimited
		}
		input.CreditSpecification = &ec2types.CreditSpecificationRequest{CpuCredits: aws.String(credits)}
	}
	for _, license := range c.LicenseSpecifications {
		input.LicenseSpecifications = append(input.LicenseSpecifications, ec2types.LicenseConfigurationRequest{
			LicenseConfigurationArn: aws.String(license.LicenseConfigurationRequest.LicenseConfigurationArn),
		})
	}
	if c.IsSpotInstance() {
		// EC2 refuses "stop" for it, although that is the default elsewhere.
		input.InstanceMarketOptions, input.InstanceInitiatedShutdownBehavior = c.spot(), ec2types.ShutdownBehaviorTerminate
	}
	c.network(input, state)
	var err error
	input.TagSpecifications, err = c.runTagSpecifications(state, region)
	return input, err
}

func (c *Config) placement(state multistep.StateBag) *ec2types.Placement {
	p := &ec2types.Placement{Tenancy: ec2types.Tenancy(c.Placement.Tenancy)}
	if p.Tenancy == "" {
		p.Tenancy = ec2types.Tenancy(c.Tenancy) //nolint:staticcheck // deprecated, and amazon-ebs still takes it
	}
	if zone, _ := state.Get(keyZone).(string); zone != "" {
		p.AvailabilityZone = aws.String(zone)
	}
	if c.Placement.HostId != "" {
		p.HostId = aws.String(c.Placement.HostId)
	}
	if c.Placement.HostResourceGroupArn != "" {
		p.HostResourceGroupArn = aws.String(c.Placement.HostResourceGroupArn)
	}
	return p
}

func (c *Config) capacityReservation() *ec2types.CapacityReservationSpecification {
	spec := &ec2types.CapacityReservationSpecification{
		CapacityReservationPreference: ec2types.CapacityReservationPreference(c.CapacityReservationPreference),
	}
	if c.CapacityReservationId != "" {
		spec.CapacityReservationTarget = &ec2types.CapacityReservationTarget{CapacityReservationId: aws.String(c.CapacityReservationId)}
	}
	if c.CapacityReservationGroupArn != "" {
		spec.CapacityReservationTarget = &ec2types.CapacityReservationTarget{CapacityReservationResourceGroupArn: aws.String(c.CapacityReservationGroupArn)}
	}
	return spec
}

// spot asks for a one-time instance, which EC2 ends when it needs it back.
func (c *Config) spot() *ec2types.InstanceMarketOptionsRequest {
	options := &ec2types.SpotMarketOptions{SpotInstanceType: ec2types.SpotInstanceTypeOneTime}
	if _, err := strconv.ParseFloat(c.SpotPrice, 64); err == nil { // else "auto": up to the on-demand price
		options.MaxPrice = aws.String(c.SpotPrice)
	}
	return &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot, SpotOptions: options}
}

// network puts the instance into its subnet and security groups. A public
// address can only be asked for on a network interface, and EC2 then wants
// subnet and groups there as well.
func (c *Config) network(input *ec2.RunInstancesInput, state multistep.StateBag) {
	groups, _ := state.Get(keySecurityGroups).([]string)
	subnet, _ := state.Get(keySubnet).(string)
	if subnet == "" {
		input.SecurityGroupIds = groups
		return
	}
	if c.AssociatePublicIpAddress == packerconfig.TriUnset {
		input.SubnetId, input.SecurityGroupIds = aws.String(subnet), groups
		return
	}
	input.NetworkInterfaces = []ec2types.InstanceNetworkInterfaceSpecification{{
		DeviceIndex:              aws.Int32(0),
		AssociatePublicIpAddress: c.AssociatePublicIpAddress.ToBoolPointer(),
		SubnetId:                 aws.String(subnet),
		Groups:                   groups,
		DeleteOnTermination:      aws.Bool(true),
	}}
}

func (c *Config) runTagSpecifications(state multistep.StateBag, region string) ([]ec2types.TagSpecification, error) {
	run, volume, spot := map[string]string{"Name": "Packer Builder"}, map[string]string{}, map[string]string{}
	maps.Copy(run, c.RunTags)
	maps.Copy(volume, c.VolumeRunTags)
	maps.Copy(spot, c.SpotTags)
	for _, kind := range []map[string]string{run, volume, spot} {
		maps.Copy(kind, c.lifetimeTags(time.Now()))
	}
	kinds := []struct {
		kind ec2types.ResourceType
		tags map[string]string
	}{
		{ec2types.ResourceTypeInstance, run},
		{ec2types.ResourceTypeNetworkInterface, run},
		{ec2types.ResourceTypeVolume, volume},
	}
	if c.IsSpotInstance() {
		kinds = append(kinds, struct {
			kind ec2types.ResourceType
			tags map[string]string
		}{ec2types.ResourceTypeSpotInstancesRequest, spot})
	}
	var specs []ec2types.TagSpecification
	for _, k := range kinds {
		tags, err := awscommon.TagMap(k.tags).EC2Tags(c.ctx, region, state)
		if err != nil {
			return nil, fmt.Errorf("rendering the tags of the %s: %w", k.kind, err)
		}
		specs = append(specs, ec2types.TagSpecification{ResourceType: k.kind, Tags: tags})
	}
	return specs, nil
}
