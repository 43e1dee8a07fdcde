// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	packerconfig "github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// LaunchRequest is what a launch request has besides the options.
type LaunchRequest struct {
	Attempt  launch.Attempt
	Token    string
	Source   *ec2types.Image
	Profile  string   // the instance profile, if any
	Groups   []string // the security groups
	UserData string   // in base64, if any
}

// RunInstancesInput returns the request of a launch attempt, without its tags.
func (c *Config) RunInstancesInput(a LaunchRequest) (*ec2.RunInstancesInput, error) {
	source, attempt := a.Source, a.Attempt
	if source.RootDeviceType != ec2types.DeviceTypeEbs && c.limits == nil { // the image of a launch test is the build's own
		return nil, fmt.Errorf("source image %s: got a root device of type %q, want \"ebs\"",
			aws.ToString(source.ImageId), source.RootDeviceType)
	}
	input := &ec2.RunInstancesInput{
		ClientToken:                       aws.String(a.Token),
		ImageId:                           source.ImageId,
		InstanceType:                      ec2types.InstanceType(attempt.Type),
		MinCount:                          aws.Int32(1),
		MaxCount:                          aws.Int32(1),
		BlockDeviceMappings:               BlockDevices(c.LaunchMappings),
		EbsOptimized:                      aws.Bool(c.EbsOptimized),
		InstanceInitiatedShutdownBehavior: ec2types.ShutdownBehavior(c.InstanceInitiatedShutdownBehavior),
		Placement:                         c.placement(attempt.Place),
		MetadataOptions:                   c.metadataOptions(),
		CapacityReservationSpecification:  c.capacityReservation(attempt.Market),
	}
	if a.UserData != "" {
		input.UserData = aws.String(a.UserData)
	}
	if c.Comm.SSHKeyPairName != "" {
		input.KeyName = aws.String(c.Comm.SSHKeyPairName)
	}
	if a.Profile != "" {
		input.IamInstanceProfile = &ec2types.IamInstanceProfileSpecification{Name: aws.String(a.Profile)}
	}
	if c.EnableNitroEnclave {
		input.EnclaveOptions = &ec2types.EnclaveOptionsRequest{Enabled: aws.Bool(true)}
	}
	if Burstable(attempt.Type) {
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
	switch attempt.Market {
	case launch.CapacityBlock:
		input.InstanceMarketOptions = &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeCapacityBlock}
	case launch.Spot:
		// EC2 refuses "stop" for a one-time spot instance.
		input.InstanceMarketOptions, input.InstanceInitiatedShutdownBehavior = c.spot(), ec2types.ShutdownBehaviorTerminate
	}
	c.join(input, attempt.Place, a.Groups)
	return input, nil
}

// metadataOptions returns the instance's metadata options. EC2 accepts no others
// if the metadata service is disabled.
func (c *Config) metadataOptions() *ec2types.InstanceMetadataOptionsRequest {
	endpoint := ec2types.InstanceMetadataEndpointState(c.Metadata.HttpEndpoint)
	if endpoint == ec2types.InstanceMetadataEndpointStateDisabled {
		return &ec2types.InstanceMetadataOptionsRequest{HttpEndpoint: endpoint}
	}
	return &ec2types.InstanceMetadataOptionsRequest{
		HttpEndpoint:            endpoint,
		HttpTokens:              ec2types.HttpTokensState(c.Metadata.HttpTokens),
		HttpPutResponseHopLimit: aws.Int32(c.Metadata.HttpPutResponseHopLimit),
		InstanceMetadataTags:    ec2types.InstanceMetadataTagsState(c.Metadata.InstanceMetadataTags),
	}
}

// InstanceTenancy returns the tenancy of the instance, empty for the default.
func (c *Config) InstanceTenancy() ec2types.Tenancy {
	return ec2types.Tenancy(cmp.Or(c.Placement.Tenancy, c.Tenancy)) //nolint:staticcheck // deprecated, and amazon-ebs still takes it
}

func (c *Config) placement(place launch.Place) *ec2types.Placement {
	p := &ec2types.Placement{Tenancy: c.InstanceTenancy()}
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

// capacityReservation returns the reservations that the instance may use. In the
// on-demand market it is capacity_reservation_preference, by default none.
func (c *Config) capacityReservation(market launch.Market) *ec2types.CapacityReservationSpecification {
	spec := &ec2types.CapacityReservationSpecification{}
	switch market {
	case launch.Spot:
		return nil
	case launch.OnDemand:
		spec.CapacityReservationPreference = ec2types.CapacityReservationPreference(cmp.Or(c.CapacityReservationPreference, "none"))
	case launch.Reservation, launch.CapacityBlock:
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

// reservationsOnly makes EC2 refuse if no reservation has capacity, instead of
// launching on demand
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CapacityReservationSpecification.html).
const reservationsOnly ec2types.CapacityReservationPreference = "capacity-reservations-only"

// burstable matches the instance types that earn CPU credits.
var burstable = lazyregexp.New(`^t(2|3|3a|4g)\.`)

// spot returns the options of a one-time spot request. Its maximum price is
// spot_price, or the limits if lower.
func (c *Config) spot() *ec2types.InstanceMarketOptionsRequest {
	options := &ec2types.SpotMarketOptions{SpotInstanceType: ec2types.SpotInstanceTypeOneTime}
	price, _ := strconv.ParseFloat(c.SpotPrice, 64) // 0 for "auto": at most the on-demand price
	if most := c.Limits().PerHourAtMost(price); most == price && price > 0 {
		options.MaxPrice = aws.String(c.SpotPrice)
	} else if most > 0 {
		options.MaxPrice = aws.String(strconv.FormatFloat(most, 'f', 6, 64))
	}
	return &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot, SpotOptions: options}
}

// join sets the instance's subnet and security groups. A public address can only
// be requested on a network interface, which must then also have the subnet and
// groups.
func (c *Config) join(input *ec2.RunInstancesInput, place launch.Place, groups []string) {
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
