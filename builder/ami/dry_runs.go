// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// The calls of a build, as dry runs for the preflight. They are as near to the
// build's own as they can be before its resources exist.

// dryState is a state bag of which only what a dry run needs is known.
func (b *build) dryState(image ec2types.Image) multistep.StateBag {
	state := new(multistep.BasicStateBag)
	state.Put(keyBuild, b)
	state.Put(keySourceImage, &image)
	if b.config.IamInstanceProfile != "" {
		state.Put(keyProfile, b.config.IamInstanceProfile)
	}
	if len(b.config.SecurityGroupIds) > 0 {
		state.Put(keySecurityGroups, b.config.SecurityGroupIds)
	}
	return state
}

// dryLaunch launches a rung, without effect.
func (b *build) dryLaunch(ctx context.Context, image ec2types.Image, rung launch.Rung) error {
	input, err := b.config.runInstancesInput(b.dryState(image), b.clients.Region(), rung, uuid.TimeOrderedUUID())
	if err != nil {
		return err
	}
	input.DryRun = aws.Bool(true)
	_, err = b.clients.EC2(b.clients.Region()).RunInstances(ctx, input, ec2api.FewTries)
	return err
}

// dryPreparations are the temporary key pair and security group.
func (b *build) dryPreparations() (calls []preflight.DryRun) {
	c, home := b.config, b.clients.Region()
	client := b.clients.EC2(home)
	tagged := func(known preflight.Known, kind ec2types.ResourceType) []ec2types.TagSpecification {
		list, err := awscommon.TagMap(c.RunTags).EC2Tags(c.ctx, home, b.dryState(known.Image))
		if err != nil {
			return nil // the step itself says so
		}
		return list.TagSpecifications(kind)
	}
	needs := c.needs(home)
	if needs.KeyPair {
		calls = append(calls, preflight.DryRun{
			Action: "ec2:CreateKeyPair", Region: home, Instead: "name one of yours in ssh_keypair_name, with ssh_private_key_file",
			Call: func(ctx context.Context, known preflight.Known) error {
				_, err := client.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{
					DryRun: aws.Bool(true), KeyName: &c.Comm.SSHTemporaryKeyPairName, KeyType: ec2types.KeyType(c.Comm.SSHTemporaryKeyPairType),
					TagSpecifications: tagged(known, ec2types.ResourceTypeKeyPair),
				}, ec2api.FewTries)
				return err
			},
		})
	}
	if needs.SecurityGroup {
		calls = append(calls, preflight.DryRun{
			Action: "ec2:CreateSecurityGroup", Region: home, Instead: "name one of yours in security_group_id",
			Call: func(ctx context.Context, known preflight.Known) error {
				input := &ec2.CreateSecurityGroupInput{
					DryRun: aws.Bool(true), GroupName: aws.String("packer_" + uuid.TimeOrderedUUID()), Description: aws.String("Temporary group for Packer"),
					TagSpecifications: tagged(known, ec2types.ResourceTypeSecurityGroup),
				}
				if known.VPC != "" {
					input.VpcId = &known.VPC
				}
				_, err := client.CreateSecurityGroup(ctx, input, ec2api.FewTries)
				return err
			},
		})
	}
	return calls
}

// dryCopies are the copies to the regions that have no image yet. The source
// image stands for the one that is to be copied, unless that exists.
func (b *build) dryCopies() (calls []preflight.DryRun) {
	c, home := b.config, b.clients.Region()
	label := []ec2types.Tag{{Key: aws.String(tags.BuildID), Value: aws.String(c.buildID)}}
	for _, target := range c.targets(home) {
		if b.adopted[target.Region].ID != "" || target.Region == home && !b.sourced && !c.needsIntermediary() {
			continue
		}
		calls = append(calls, preflight.DryRun{
			Action: "ec2:CopyImage", Region: target.Region, OfImage: !b.sourced,
			Call: func(ctx context.Context, known preflight.Known) error {
				from, id := home, aws.ToString(known.Image.ImageId)
				if b.sourced {
					from, id = b.image.Region, b.image.ID
				}
				input := &ec2.CopyImageInput{
					DryRun: aws.Bool(true), SourceRegion: &from, SourceImageId: &id, Name: aws.String(c.AMIName), Encrypted: target.Encrypted,
					TagSpecifications: []ec2types.TagSpecification{
						{ResourceType: ec2types.ResourceTypeImage, Tags: label}, {ResourceType: ec2types.ResourceTypeSnapshot, Tags: label},
					},
				}
				if target.KMSKeyID != "" {
					input.KmsKeyId = &target.KMSKeyID
				}
				_, err := b.clients.EC2(target.Region).CopyImage(ctx, input, ec2api.FewTries)
				return err
			},
		})
	}
	return calls
}
