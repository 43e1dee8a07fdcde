// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
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
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// profilePatience is how long EC2 may not know an instance profile that
// StepIamInstanceProfile has just made: IAM is eventually consistent.
const profilePatience = 2 * time.Minute

// stepLaunch climbs the launch ladder (internal/launch) to an instance, and
// waits until it runs.
type stepLaunch struct{}

func (stepLaunch) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	client := b.clients.EC2(b.clients.Region())
	instance, rung, err := b.climb(ctx, client, state)
	if err != nil {
		return halt(state, "launching: %w", err)
	}
	id := aws.ToString(instance.InstanceId)
	b.report.InstanceID, b.report.InstanceType, b.report.Market = id, string(instance.InstanceType), string(rung.Market)
	b.report.Architecture = string(instance.Architecture)
	b.report.InstanceSeconds, b.report.launched, b.report.runs = 0, time.Now(), time.Time{}
	if instance.Placement != nil {
		b.report.Zone = aws.ToString(instance.Placement.AvailabilityZone)
	}
	state.Put(keyInstance, instance)
	state.Put(keyInstanceID, id) // for provisioners, as build.ID
	state.Put(keySubnet, aws.ToString(instance.SubnetId))
	state.Put(keyZone, b.report.Zone)
	ui.Sayf("Instance %s is starting: %s, %s, %s", id, b.report.InstanceType, rung.Market, b.report.Zone)
	notePrice := b.askPrice(ctx, rung)

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
			b.report.runs = time.Now()
			return true, nil
		default:
			why := "EC2 gives no reason"
			if found.StateReason != nil {
				why = aws.ToString(found.StateReason.Message)
			}
			return false, fmt.Errorf("it is %s: %s", found.State.Name, why)
		}
	})
	notePrice(ui.Sayf)
	if err != nil {
		return halt(state, "launching: %w", err)
	}
	return multistep.ActionContinue
}

// runInstances launches, and records the instance in the ledger. The call is
// not cut off by a cancel: the id of what it had started would be lost.
func (b *build) runInstances(ctx context.Context, client *ec2.Client, input *ec2.RunInstancesInput) (ec2types.Instance, error) {
	deadline := time.Now().Add(profilePatience)
	for {
		var instance ec2types.Instance
		out, err := client.RunInstances(context.WithoutCancel(ctx), input, ec2api.NoLaunchRetries)
		err = ec2api.Plain(err)
		switch {
		case err == nil && len(out.Instances) == 0:
			err = errors.New("EC2 answered without an instance")
		case err == nil:
			instance = out.Instances[0]
		case ec2api.IsUnanswered(err): // it may have been carried out all the same
			found, lookErr := instanceOfToken(context.WithoutCancel(ctx), client, aws.ToString(input.ClientToken))
			if lookErr == nil && found != nil {
				instance, err = *found, nil
			} else if lookErr != nil {
				err = fmt.Errorf("%w; whether an instance runs nobody knows: look for one with the tag %s = %s", err, tags.BuildID, b.config.buildID)
			}
		}
		if err == nil {
			b.ledger.Add(ledger.Entry{Kind: ledger.Instance, Region: b.clients.Region(), ID: aws.ToString(instance.InstanceId)})
			return instance, nil
		}
		if !ec2api.IsNewProfileUnknown(err) || time.Now().After(deadline) {
			return ec2types.Instance{}, err
		}
		select {
		case <-ctx.Done():
			return ec2types.Instance{}, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// instanceOfToken finds what a launch made whose answer never came.
func instanceOfToken(ctx context.Context, client ec2.DescribeInstancesAPIClient, token string) (*ec2types.Instance, error) {
	out, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: aws.String("client-token"), Values: []string{token}}},
	})
	if err != nil {
		return nil, err
	}
	for _, reservation := range out.Reservations {
		for _, instance := range reservation.Instances {
			return &instance, nil
		}
	}
	return nil, nil
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

// runInstancesInput is the launch on a rung as the configuration wants it.
func (c *Config) runInstancesInput(state multistep.StateBag, region string, rung launch.Rung, token string) (*ec2.RunInstancesInput, error) {
	source := state.Get(keySourceImage).(*ec2types.Image)
	if source.RootDeviceType != ec2types.DeviceTypeEbs {
		return nil, fmt.Errorf("source image %s has a root device of type %q; expected \"ebs\"",
			aws.ToString(source.ImageId), source.RootDeviceType)
	}
	input := &ec2.RunInstancesInput{
		ClientToken:                       aws.String(token),
		ImageId:                           source.ImageId,
		InstanceType:                      ec2types.InstanceType(rung.Type),
		MinCount:                          aws.Int32(1),
		MaxCount:                          aws.Int32(1),
		BlockDeviceMappings:               c.LaunchMappings.BuildEC2BlockDeviceMappings(),
		EbsOptimized:                      aws.Bool(c.EbsOptimized),
		InstanceInitiatedShutdownBehavior: ec2types.ShutdownBehavior(c.InstanceInitiatedShutdownBehavior),
		Placement:                         c.placement(rung.Place),
		MetadataOptions: &ec2types.InstanceMetadataOptionsRequest{
			HttpEndpoint:            ec2types.InstanceMetadataEndpointState(c.Metadata.HttpEndpoint),
			HttpTokens:              ec2types.HttpTokensState(c.Metadata.HttpTokens),
			HttpPutResponseHopLimit: aws.Int32(c.Metadata.HttpPutResponseHopLimit),
			InstanceMetadataTags:    ec2types.InstanceMetadataTagsState(c.Metadata.InstanceMetadataTags),
		},
		CapacityReservationSpecification: c.capacityReservation(rung.Market),
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
	if burstable.MatchString(rung.Type) {
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
	if rung.Market == launch.Spot {
		// EC2 refuses "stop" for it, although that is the default elsewhere.
		input.InstanceMarketOptions, input.InstanceInitiatedShutdownBehavior = c.spot(), ec2types.ShutdownBehaviorTerminate
	}
	c.join(input, rung.Place, state)
	var err error
	input.TagSpecifications, err = c.runTagSpecifications(state, region, rung.Market)
	return input, err
}

func (c *Config) tenancy() ec2types.Tenancy {
	return ec2types.Tenancy(cmp.Or(c.Placement.Tenancy, c.Tenancy)) //nolint:staticcheck // deprecated, and amazon-ebs still takes it
}

func (c *Config) placement(place launch.Place) *ec2types.Placement {
	p := &ec2types.Placement{Tenancy: c.tenancy()}
	if place.Zone != "" {
		p.AvailabilityZone = aws.String(place.Zone)
	}
	if c.Placement.HostId != "" {
		p.HostId = aws.String(c.Placement.HostId)
	}
	if c.Placement.HostResourceGroupArn != "" {
		p.HostResourceGroupArn = aws.String(c.Placement.HostResourceGroupArn)
	}
	return p
}

// capacityReservation says which reservations the instance may use. On demand
// it is amazon-ebs's capacity_reservation_preference, none by default.
func (c *Config) capacityReservation(market launch.Market) *ec2types.CapacityReservationSpecification {
	spec := &ec2types.CapacityReservationSpecification{}
	switch market {
	case launch.Spot:
		return nil
	case launch.OnDemand:
		spec.CapacityReservationPreference = ec2types.CapacityReservationPreference(cmp.Or(c.CapacityReservationPreference, "none"))
	case launch.Reservation:
		switch {
		case c.CapacityReservationId != "":
			spec.CapacityReservationTarget = &ec2types.CapacityReservationTarget{CapacityReservationId: aws.String(c.CapacityReservationId)}
		case c.CapacityReservationGroupArn != "":
			spec.CapacityReservationTarget = &ec2types.CapacityReservationTarget{CapacityReservationResourceGroupArn: aws.String(c.CapacityReservationGroupArn)}
		default:
			spec.CapacityReservationPreference = reservationsOnly
		}
	}
	return spec
}

// reservationsOnly makes EC2 refuse where there is no reservation with room,
// rather than launch on demand
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CapacityReservationSpecification.html).
const reservationsOnly ec2types.CapacityReservationPreference = "capacity-reservations-only"

// burstable are the types that earn CPU credits.
var burstable = regexp.MustCompile(`^t(2|3|3a|4g)\.`)

// spot asks for a one-time instance, which EC2 ends when it needs it back, for
// spot_price at most, and no more than the limits allow.
func (c *Config) spot() *ec2types.InstanceMarketOptionsRequest {
	options := &ec2types.SpotMarketOptions{SpotInstanceType: ec2types.SpotInstanceTypeOneTime}
	price, _ := strconv.ParseFloat(c.SpotPrice, 64) // else "auto": up to the on-demand price
	if most := c.limits().PerHourAtMost(price); most == price && price > 0 {
		options.MaxPrice = aws.String(c.SpotPrice)
	} else if most > 0 {
		options.MaxPrice = aws.String(strconv.FormatFloat(most, 'f', 6, 64))
	}
	return &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot, SpotOptions: options}
}

// join puts the instance into its subnet and security groups. A public
// address can only be asked for on a network interface, and EC2 then wants
// subnet and groups there as well.
func (c *Config) join(input *ec2.RunInstancesInput, place launch.Place, state multistep.StateBag) {
	groups, _ := state.Get(keySecurityGroups).([]string)
	subnet := place.Subnet
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

func (c *Config) runTagSpecifications(state multistep.StateBag, region string, market launch.Market) ([]ec2types.TagSpecification, error) {
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
	if market == launch.Spot {
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
