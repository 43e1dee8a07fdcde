// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
)

// The requests of a build, as dry runs for the preflight. They are as similar to
// the build's own as possible before its resources exist.

// dryState returns a state bag with only the entries that a dry run needs.
func (b *Build) dryState(image ec2types.Image) multistep.StateBag {
	dry := new(multistep.BasicStateBag)
	dry.Put(keyBuild, b)
	if image.ImageId != nil {
		dry.Put(keySourceImage, &image)
	}
	if b.Config.IamInstanceProfile != "" {
		dry.Put(keyProfile, b.Config.IamInstanceProfile)
	}
	if len(b.Config.SecurityGroupIds) > 0 {
		dry.Put(keySecurityGroups, b.Config.SecurityGroupIds)
	}
	return dry
}

// dryRunInstances returns the request of a launch attempt as a dry run.
func (b *Build) dryRunInstances(state multistep.StateBag, attempt launch.Attempt) (*ec2.RunInstancesInput, error) {
	input, err := b.runInstancesInput(state, attempt, uuid.TimeOrderedUUID())
	if err != nil {
		return nil, err
	}
	data, _, err := b.Config.ArmedUserData()
	if err != nil {
		return nil, err
	}
	if len(data) > 0 {
		input.UserData = aws.String(base64.StdEncoding.EncodeToString(data))
	}
	input.DryRun = aws.Bool(true)
	return input, nil
}

// dryLaunch makes a launch attempt as a dry run.
func (b *Build) dryLaunch(ctx context.Context, image ec2types.Image, attempt launch.Attempt) error {
	input, err := b.dryRunInstances(b.dryState(image), attempt)
	if err != nil {
		return err
	}
	_, err = b.Clients.EC2(b.Clients.Region()).RunInstances(ctx, input, awsclient.FewTries)
	return err
}

// dryPreparations returns the dry runs of the temporary key pair, security group and
// launch template, and of the fleet.
func (b *Build) dryPreparations() (calls []preflight.DryRun) {
	c, home := b.Config, b.Clients.Region()
	client := b.Clients.EC2(home)
	tagged := func(known preflight.Known, kind ec2types.ResourceType) []ec2types.TagSpecification {
		list, err := awscommon.TagMap(c.RunTags).EC2Tags(c.Interpolation(), home, b.dryState(known.Image))
		if err != nil {
			return nil // the step itself reports the error
		}
		return list.TagSpecifications(kind)
	}
	needs := c.PolicyNeeds(home)
	if needs.KeyPair {
		calls = append(calls, preflight.DryRun{
			Action: "ec2:CreateKeyPair", Region: home, Instead: "set ssh_keypair_name and ssh_private_key_file to an existing key",
			Call: func(ctx context.Context, known preflight.Known) error {
				_, err := client.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{
					DryRun: aws.Bool(true), KeyName: &c.Comm.SSHTemporaryKeyPairName, KeyType: ec2types.KeyType(c.Comm.SSHTemporaryKeyPairType),
					TagSpecifications: tagged(known, ec2types.ResourceTypeKeyPair),
				}, awsclient.FewTries)
				return err
			},
		})
	}
	if needs.SecurityGroup {
		calls = append(calls, preflight.DryRun{
			Action: "ec2:CreateSecurityGroup", Region: home, Instead: "set security_group_id to an existing group",
			Call: func(ctx context.Context, known preflight.Known) error {
				input := &ec2.CreateSecurityGroupInput{
					DryRun: aws.Bool(true), GroupName: aws.String("packer_" + uuid.TimeOrderedUUID()), Description: aws.String("Temporary group for Packer"),
					TagSpecifications: tagged(known, ec2types.ResourceTypeSecurityGroup),
				}
				if known.VPC != "" {
					input.VpcId = &known.VPC
				}
				_, err := client.CreateSecurityGroup(ctx, input, awsclient.FewTries)
				return err
			},
		})
	}
	if needs.Fleet {
		calls = append(calls, b.dryFleet()...)
	}
	return calls
}

// dryFleet returns the dry runs of the launch template and the fleet of a spot instance.
func (b *Build) dryFleet() []preflight.DryRun {
	home := b.Clients.Region()
	client := b.Clients.EC2(home)
	const instead = "set spot_allocation_strategy = \"in-order\", which needs no fleet"
	return []preflight.DryRun{{
		Action: "ec2:CreateLaunchTemplate", Region: home, Instead: instead, OfImage: true,
		Call: func(ctx context.Context, known preflight.Known) error {
			attempts := b.firstFleet()
			if attempts == nil {
				return nil
			}
			state := b.dryState(known.Image)
			run, err := b.dryRunInstances(state, attempts[0])
			if err != nil {
				return err
			}
			input, err := b.templateInput(state, run)
			if err != nil {
				return err
			}
			input.DryRun = aws.Bool(true)
			_, err = client.CreateLaunchTemplate(ctx, input, awsclient.FewTries)
			return err
		},
	}, {
		Action: "ec2:CreateFleet", Region: home, Instead: instead,
		Call: func(ctx context.Context, known preflight.Known) error {
			attempts := b.firstFleet()
			if attempts == nil {
				return nil
			}
			input, err := b.fleetInput(b.dryState(known.Image), "lt-00000000000000000", attempts)
			if err != nil {
				return err
			}
			input.DryRun = aws.Bool(true)
			_, err = client.CreateFleet(ctx, input, awsclient.FewTries)
			if awsclient.IsNoTemplate(err) {
				return nil // the request is allowed; the template does not exist yet
			}
			return err
		},
	}}
}

// firstFleet returns the attempts of the first fleet; nil if the build uses none.
func (b *Build) firstFleet() []launch.Attempt {
	all := launch.Strategy{Attempts: b.attempts(), Together: b.Config.Together}.Requests()
	if i := slices.IndexFunc(all, func(attempts []launch.Attempt) bool { return len(attempts) > 1 }); i >= 0 {
		return all[i]
	}
	return nil
}

// dryCopies returns the dry runs of the copies to regions without an image. They
// copy the source image unless the image to copy exists already.
func (b *Build) dryCopies() (calls []preflight.DryRun) {
	c, home := b.Config, b.Clients.Region()
	for _, target := range c.Targets(home) {
		if b.adopted[target.Region].ID != "" || target.Region == home && !b.Sourced && !c.NeedsIntermediary() {
			continue
		}
		calls = append(calls, preflight.DryRun{
			Action: "ec2:CopyImage", Region: target.Region, OfImage: !b.Sourced,
			Call: func(ctx context.Context, known preflight.Known) error {
				source := b.image
				if !b.Sourced {
					source = distribute.Image{Region: home, ID: aws.ToString(known.Image.ImageId)}
				}
				input, err := b.copyRequest(b.dryState(known.Image), source, target)
				if err != nil {
					return err
				}
				input.DryRun = aws.Bool(true)
				_, err = b.Clients.EC2(target.Region).CopyImage(ctx, input, awsclient.FewTries)
				return err
			},
		})
	}
	return calls
}

// copyRequest returns the request that copies a source to a target.
func (b *Build) copyRequest(state multistep.StateBag, source distribute.Image, target distribute.Target) (*ec2.CopyImageInput, error) {
	copies, err := b.copies(state, source)
	if err != nil {
		return nil, err
	}
	if target, err = b.described(state, target); err != nil {
		return nil, err
	}
	return copies.Request(target, uuid.TimeOrderedUUID()), nil
}
