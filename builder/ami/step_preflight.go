// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// stepPreflight finds out what only AWS can tell, before anything is created.
type stepPreflight struct{ noCleanup }

func (stepPreflight) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if b.config.Preflight == preflightOff {
		ui.Say("Checking nothing before the build, as preflight is \"off\": what is wrong with regions, names, quotas, keys or permissions shows when it happens")
		return multistep.ActionContinue
	}
	plan, err := b.preflightPlan(ui)
	if err != nil {
		return halt(state, "preflight: %w", err)
	}
	ui.Sayf("Checking %s before anything is created...", plan.Scope())
	begun := time.Now()
	report, err := preflight.Run(ctx, plan, cloud(b.clients))
	if err != nil {
		return halt(state, "preflight: %w", err)
	}
	for _, line := range report.Warnings() {
		ui.Say("Warning: " + line)
	}
	if err := report.Err(); err != nil {
		return halt(state, "preflight: %w", err)
	}
	ui.Sayf("Nothing is known that would make the build fail: %d checks in %.1f s (%s)",
		len(report.Checks), time.Since(begun).Seconds(), strings.Join(report.Checks, ", "))
	if b.config.Preflight == preflightOnly {
		b.checked = true
		ui.Say("The least policy for this build, of which it does without the statements called Optional:\n" + policy.Least(b.config.needs(b.clients.Region())).JSON())
		ui.Say("Nothing was made, as preflight is \"only\"")
	}
	return multistep.ActionContinue
}

// cloud is where the checks ask. Typed nils are no questions.
func cloud(clients *ec2api.Clients) preflight.Cloud {
	c := preflight.Cloud{EC2: func(region string) preflight.EC2 { return clients.EC2(region) }}
	if quotas := clients.Quotas(); quotas != nil {
		c.Quotas = quotas
	}
	if identity := clients.STS(); identity != nil {
		c.Identity = identity
		c.Keys = func(region string) preflight.Keyring { return clients.KMS(region) }
	}
	return c
}

// preflightPlan is what the build wants. Where the image exists, nothing is
// asked that only a launch needs; where none is made, nothing that only one needs.
func (b *build) preflightPlan(ui packersdk.Ui) (preflight.Plan, error) {
	c, home := b.config, b.clients.Region()
	plan := preflight.Plan{BuildRegion: home, SkipRegions: c.AMISkipRegionValidation, Has: map[string]bool{}}
	for region := range b.adopted {
		plan.Has[region] = true
	}
	for _, region := range b.spared {
		plan.Has[region] = true
	}
	if !b.sourced {
		source, err := c.sourceQuestion()
		if err != nil {
			return plan, err
		}
		plan.Launch = &preflight.Launch{
			Types: c.InstanceTypes, Markets: c.markets(), Source: source, Address: c.address(), NamedPlaces: c.namesPlaces(),
			Network: func(ctx context.Context) (string, []launch.Place, error) {
				err := b.findNetwork(ctx, ui)
				return b.vpc, b.places, err
			},
			DryRun: b.dryLaunch,
		}
		plan.Calls = append(plan.Calls, b.dryPreparations()...)
		plan.Keys = append(plan.Keys, c.volumeKeys(home)...)
	}
	if c.SkipCreateAMI {
		return plan, nil
	}
	plan.ImageRegions = c.imageRegions(home)
	if !c.AMIForceDeregister {
		plan.ImageName = c.AMIName
	}
	plan.Sharing = preflight.Sharing{
		Users: c.AMIUsers, Groups: c.AMIGroups, OrgARNs: c.AMIOrgArns, OUARNs: c.AMIOuArns,
		SnapshotUsers: c.SnapshotUsers, SnapshotGroups: c.SnapshotGroups,
	}
	for _, target := range c.targets(home) {
		if aws.ToBool(target.Encrypted) && !plan.Has[target.Region] {
			key := preflight.Key{Attribute: "region_kms_key_ids", Region: target.Region, ID: target.KMSKeyID, OfImage: true}
			if c.AMIRegionKMSKeyIDs[target.Region] == "" {
				key.Attribute = "kms_key_id"
			}
			plan.Keys = append(plan.Keys, key)
		}
	}
	plan.Calls = append(plan.Calls, b.dryCopies()...)
	return plan, nil
}

// sourceQuestion is how StepSourceAMIInfo looks for the source image.
func (c *Config) sourceQuestion() (preflight.Source, error) {
	filters, err := ec2Filters(c.SourceAmiFilter.Filters, nil)
	if err != nil {
		return preflight.Source{}, fmt.Errorf("source_ami_filter: %w", err)
	}
	s := preflight.Source{Attribute: "source_ami_filter", MostRecent: c.SourceAmiFilter.MostRecent, Question: &ec2.DescribeImagesInput{
		Owners: c.SourceAmiFilter.Owners, Filters: filters, IncludeDeprecated: aws.Bool(c.SourceAmiFilter.IncludeDeprecated),
	}}
	if c.SourceAmi != "" {
		s.Attribute, s.Question.ImageIds = "source_ami", []string{c.SourceAmi}
	}
	return s, nil
}

// namesPlaces says that the user has named zones or subnets.
func (c *Config) namesPlaces() bool {
	return c.SubnetId != "" || c.AvailabilityZone != "" || len(c.SubnetIds)+len(c.AvailabilityZones) > 0
}

// address is how the build comes to its instance (awscommon.SSHHost).
func (c *Config) address() preflight.Address {
	switch {
	case !c.reachesPublicAddress(), c.Comm.Type == "none", c.Rehearsal && c.RehearsalInstance == rehearsal.NoInstance, c.AssociatePublicIpAddress.False():
		return preflight.OtherAddress
	case c.AssociatePublicIpAddress.True():
		return preflight.PublicAddress
	case c.SSHInterface != "":
		return preflight.SubnetAddress
	}
	return preflight.AnyAddress
}

// volumeKeys are those of the block devices, in the build's region.
func (c *Config) volumeKeys(home string) (keys []preflight.Key) {
	for _, list := range []struct {
		attribute string
		devices   awscommon.BlockDevices
	}{
		{"launch_block_device_mappings", c.LaunchMappings},
		{"ami_block_device_mappings", c.AMIMappings},
	} {
		for i, device := range list.devices {
			if device.Encrypted.True() || device.KmsKeyId != "" {
				keys = append(keys, preflight.Key{
					Attribute: fmt.Sprintf("%s[%d].kms_key_id", list.attribute, i), Region: home, ID: device.KmsKeyId,
					OfImage: !c.SkipCreateAMI && !c.AMIEncryptBootVolume.True(), // else it is encrypted anew
				})
			}
		}
	}
	return keys
}
