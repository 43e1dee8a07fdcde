// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
)

// needs is what a build of the configuration does, in the region where it runs.
func (c *Config) needs(home string) policy.Needs {
	instance, image := c.SourceAMIFrom == "", !c.SkipCreateAMI
	onlySpot := !slices.ContainsFunc(c.markets(), func(m launch.Market) bool { return m != launch.Spot })
	stoppable := instance && image && !onlySpot
	asksPrice := instance && !onlySpot && !c.knowsPrices()
	givenGroup := len(c.SecurityGroupIds) > 0 || !c.SecurityGroupFilter.Empty()
	shares := len(c.AMIUsers)+len(c.AMIGroups)+len(c.AMIOrgArns)+len(c.AMIOuArns) > 0
	sharesSnapshots := len(c.SnapshotUsers)+len(c.SnapshotGroups) > 0
	givenSubnet := c.VpcId != "" || c.SubnetId != "" || len(c.SubnetIds) > 0 || !c.VpcFilter.Empty() || !c.SubnetFilter.Empty()
	if c.SubnetId != "" && c.VpcId != "" && c.AvailabilityZone != "" {
		givenSubnet = false // nothing is left to look up
	}
	return policy.Needs{
		Instance:      instance,
		KeyPair:       instance && c.Comm.SSHTemporaryKeyPairName != "" && c.Comm.SSHPrivateKeyFile == "" && !c.Comm.SSHAgentAuth,
		SecurityGroup: instance && !givenGroup,
		GivenGroup:    instance && givenGroup,
		GivenSubnet:   instance && givenSubnet,
		GivenVPC:      instance && c.VpcId == "" && !c.VpcFilter.Empty(),
		Stop:          stoppable && !c.DisableStopInstance && c.Capture != captureReboot,
		Shutdown:      stoppable,
		Modify:        instance && image && (c.AMIENASupport.True() || c.AMISriovNetSupport),
		ListPrice:     asksPrice,
		Priced:        asksPrice && (c.MaxPricePerHour > 0 || c.MaxBuildCost > 0),
		SpotPrice:     instance && c.may(launch.Spot),

		Profile:          instance && c.IamInstanceProfile != "",
		CheckProfile:     instance && c.IamInstanceProfile != "" && !c.SkipProfileValidation,
		TemporaryProfile: instance && c.IamInstanceProfile == "" && c.TemporaryIamInstanceProfilePolicyDocument != nil,
		SessionManager:   instance && c.SSMAgentEnabled(),

		Image:             image,
		Copy:              image && (!instance || c.needsIntermediary() || len(c.imageRegions(home)) > 1),
		ModifyImage:       image && (shares || c.AMIIMDSSupport != "" || len(c.AMIProductCodes) > 0),
		ShareSnapshots:    image && sharesSnapshots,
		Deprecate:         image && !c.deprecateAt().IsZero(),
		Protect:           image && c.DeregistrationProtection.Enabled,
		Replace:           image && c.AMIForceDeregister,
		Retire:            image && c.KeepReleases > 0,
		KeyOfYours:        c.namesKey(),
		EncryptionDecides: image && (shares || sharesSnapshots) && !c.AMIEncryptBootVolume.True(),
		Public:            image && slices.Contains(append(slices.Clone(c.AMIGroups), c.SnapshotGroups...), "all"),
		Resume:            c.BuildID != "",
	}
}

// knowsPrices says that the user has named the price of each type and market.
func (c *Config) knowsPrices() bool {
	for _, t := range c.InstanceTypes {
		if _, ok := c.prices[t]; !ok {
			return false
		}
	}
	return true
}

// namesKey says that a key other than AWS's own for EBS encrypts something.
func (c *Config) namesKey() bool {
	names := []string{c.AMIKmsKeyId}
	for _, id := range c.AMIRegionKMSKeyIDs {
		names = append(names, id)
	}
	for _, device := range append(slices.Clone(c.LaunchMappings), c.AMIMappings...) {
		names = append(names, device.KmsKeyId)
	}
	return slices.ContainsFunc(names, func(id string) bool { return id != "" && !strings.HasSuffix(id, "alias/aws/ebs") })
}
