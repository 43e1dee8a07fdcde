// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
)

// PolicyNeeds returns the IAM needs of a build with this configuration in a region.
func (c *Config) PolicyNeeds(home string) policy.Needs {
	builds, image := c.SourceAMIFrom == "", !c.SkipCreateAMI
	instance := builds || c.LaunchTest != nil
	onlySpot := !slices.ContainsFunc(c.MarketList(), func(m launch.Market) bool { return m != launch.Spot })
	stoppable := builds && image && !onlySpot
	listed := slices.ContainsFunc(c.MarketList(), func(m launch.Market) bool { return m != launch.Spot && m != launch.CapacityBlock })
	asksPrice := instance && listed && !c.knowsPrices()
	elsewhere := slices.ContainsFunc(c.TestedRegions(home), func(r string) bool { return r != home })
	givenGroup := len(c.SecurityGroupIds) > 0 || !c.SecurityGroupFilter.Empty()
	shares := len(c.AMIUsers)+len(c.AMIGroups)+len(c.AMIOrgArns)+len(c.AMIOuArns) > 0
	sharesSnapshots := len(c.SnapshotUsers)+len(c.SnapshotGroups) > 0
	accounts := len(c.AMIAccounts) > 0
	givenSubnet := c.VpcId != "" || c.SubnetId != "" || len(c.SubnetIds) > 0 || !c.VpcFilter.Empty() || !c.SubnetFilter.Empty()
	if c.SubnetId != "" && c.VpcId != "" && c.AvailabilityZone != "" {
		givenSubnet = false // no lookup is needed
	}
	return policy.Needs{
		Instance:      instance,
		KeyPair:       c.LaunchTest != nil || builds && c.Comm.SSHTemporaryKeyPairName != "" && c.Comm.SSHPrivateKeyFile == "" && !c.Comm.SSHAgentAuth,
		SecurityGroup: instance && (!givenGroup || elsewhere),
		OpenPort:      instance && (!givenGroup || elsewhere) && !c.NoSSHRule(),
		GivenGroup:    instance && givenGroup,
		GivenSubnet:   instance && givenSubnet,
		GivenVPC:      instance && c.VpcId == "" && !c.VpcFilter.Empty(),
		Stop:          stoppable && !c.DisableStopInstance && !c.CapturesRunning(),
		Shutdown:      stoppable,
		Modify:        builds && image && (c.AMIENASupport.True() || c.AMISriovNetSupport),
		ListPrice:     asksPrice,
		Priced:        asksPrice && (c.MaxPricePerHour > 0 || c.MaxBuildCost > 0),
		SpotPrice:     instance && c.may(launch.Spot),
		Fleet:         instance && c.MayUseFleet(),
		CapacityBlock: instance && c.CapacityBlock() != "",

		Profile:          instance && c.IamInstanceProfile != "",
		CheckProfile:     instance && c.IamInstanceProfile != "" && !c.SkipProfileValidation,
		TemporaryProfile: instance && c.IamInstanceProfile == "" && c.TemporaryIamInstanceProfilePolicyDocument != nil,
		SessionManager:   instance && c.SSMAgentEnabled(),
		SendKey:          instance && c.SSMAgentEnabled() && c.Comm.SSHPrivateKeyFile != "" && c.Comm.SSHKeyPairName == "",

		LaunchTest: c.LaunchTest != nil,

		Image:             image,
		Capture:           builds && image,
		Copy:              image && (!builds || c.NeedsIntermediary() || len(c.ImageRegions(home)) > 1),
		ModifyImage:       image && (shares || accounts || c.AMIIMDSSupport != "" || len(c.AMIProductCodes) > 0),
		ShareSnapshots:    image && (sharesSnapshots || accounts),
		Deprecate:         image && !c.DeprecateAt().IsZero(),
		Protect:           image && c.DeregistrationProtection.Enabled,
		Replace:           image && c.AMIForceDeregister,
		ReplaceSnapshots:  image && c.AMIForceDeregister && c.AMIForceDeleteSnapshot,
		Retire:            image && c.KeepReleases > 0,
		KeyOfYours:        c.namesKey(),
		EncryptionDecides: image && (shares || sharesSnapshots || accounts) && !c.AMIEncryptBootVolume.True(),
		Public:            image && slices.Contains(append(slices.Clone(c.AMIGroups), c.SnapshotGroups...), "all"),
		Resume:            c.BuildID != "",
		Publish:           c.publishNeeds(),
		Accounts:          policy.Accounts{Any: image && accounts, Grantees: c.grantees()},
	}
}

// publishNeeds returns the IAM needs of the post-processor configured in ethminer_cfn.
func (c *Config) publishNeeds() policy.Publish {
	p := &c.EthminerCFN.Publish
	if !c.publishes || !p.IsSet() || c.SkipCreateAMI {
		return policy.Publish{}
	}
	return policy.Publish{
		Buckets: true, ACL: p.S3.ACL != "", Tags: len(p.S3.Tags) > 0, Prune: p.S3.KeepVersions > 0, KMS: p.S3.KMSKeyID != "",
		Parameters: p.SSM.IsSet(), StackSet: p.StackSet.IsSet(), OwnRole: p.StackSet.AdministrationRoleARN != "", Overrides: len(p.StackSet.ParameterOverrides) > 0,
	}
}

// knowsPrices reports whether the user has set the price of each type and market.
func (c *Config) knowsPrices() bool {
	for _, t := range c.InstanceTypes {
		if _, ok := c.prices[t]; !ok {
			return false
		}
	}
	return true
}

// namesKey reports whether a key other than AWS's own EBS key encrypts a volume.
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
