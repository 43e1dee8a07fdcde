// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

const home = "eu-central-1"

// scenario is a build, and what the account has before it.
type scenario struct {
	name    string
	regions []string // home first
	source  string   // options of the source block
	cfn     string   // options of the post-processor
	peer    bool     // amazon-ebs instead of ethminer-ami, without the post-processor
	prepare func(context.Context, *rehearsal.Server, scenario) error
}

var scenarios = []scenario{
	{
		name:    "publish",
		regions: []string{home, "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "eu-west-1", "eu-west-2"},
		source:  `instance_type = "g4dn.xlarge"`,
		cfn: `
      publish {
        s3 { bucket = "faults-{{ .Region }}" }
        ssm { name = "/ethminer/ami" }
        stack_set {
          name     = "mining"
          accounts = ["111122223333"]
        }
      }`,
		prepare: makeBuckets,
	},
	{
		name:    "spot, replace",
		regions: []string{home, "us-east-1", "eu-west-1"},
		source: `
  spot_instance_types   = ["g4dn.xlarge", "g5.xlarge"]
  spot_price            = "auto"
  force_deregister      = true
  force_delete_snapshot = true
  temporary_iam_instance_profile_policy_document {
    Version = "2012-10-17"
    Statement {
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["*"]
    }
  }`,
		prepare: makeOldImages,
	},
}

// peerScenarios are the same builds with amazon-ebs, without a publication.
func peerScenarios() []scenario {
	peers := slices.Clone(scenarios)
	for i := range peers {
		peers[i].name, peers[i].peer = peers[i].name+" (amazon-ebs)", true
		if peers[i].cfn != "" {
			peers[i].name, peers[i].cfn, peers[i].prepare = "on demand (amazon-ebs)", "", nil
		}
	}
	return peers
}

// files returns the files of the build.
func (s scenario) files(resume string) map[string]string {
	if s.peer {
		return map[string]string{"build.pkr.hcl": s.peerBuild()}
	}
	if resume != "" {
		resume = fmt.Sprintf("build_id = %q", resume)
	}
	template := "# The fleet.\nMappings:\n  AWSRegion2AMI:\n"
	for _, region := range s.regions {
		template += fmt.Sprintf("    %s:\n      AMI: %s # of this region\n", region, placeholder)
	}
	template += "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n"
	return map[string]string{
		"stack.template": template,
		"build.pkr.hcl": fmt.Sprintf(`source "ethminer-ami" "rig" {
  %s
  %s
}
build {
  sources = ["source.ethminer-ami.rig"]
  post-processor "ethminer-cfn" {
    template  = "stack.template"
    attribute = "AMI"
    %s
  }
}
`, s.options(), resume, s.cfn),
	}
}

// options returns the options of the source block that both builders have.
func (s scenario) options() string {
	quoted := make([]string, len(s.regions))
	for i, region := range s.regions {
		quoted[i] = fmt.Sprintf("%q", region)
	}
	return fmt.Sprintf(`region       = %q
  ami_regions  = [%s]
  ami_name     = %q
  communicator = "none"
  source_ami_filter {
    filters     = { name = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
  %s`, home, strings.Join(quoted[1:], ", "), imageName, s.source)
}

// peerBuild returns the build of amazon-ebs. Its clock is not fast, so it polls often.
func (s scenario) peerBuild() string {
	return fmt.Sprintf(`source "amazon-ebs" "rig" {
  %s
  aws_polling {
    delay_seconds = 1
    max_attempts  = 120
  }
}
build { sources = ["source.amazon-ebs.rig"] }
`, s.options())
}

// pacing is the pace of the account. amazon-ebs fails if a new image is not found at
// once, or the name of a deregistered one is still in use.
func (s scenario) pacing() pace.Profile {
	p := pacing
	if s.peer {
		p.NotFound, p.Name = 0, 0
	}
	return p
}

// imageName is the name of the image that a build makes.
const imageName = "rig"

// placeholder is the image of a row that no build has filled.
const placeholder = "ami-TODO"

// makeBuckets creates the buckets of the publication.
func makeBuckets(ctx context.Context, server *rehearsal.Server, s scenario) error {
	for _, region := range s.regions {
		in := &s3.CreateBucketInput{Bucket: aws.String("faults-" + region)}
		if region != "us-east-1" {
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
		}
		if _, err := s3.NewFromConfig(server.AWSConfig(region), func(o *s3.Options) { o.UsePathStyle = true }).CreateBucket(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// makeOldImages creates the images that the build replaces.
func makeOldImages(ctx context.Context, server *rehearsal.Server, s scenario) error {
	for _, region := range s.regions {
		client := ec2.NewFromConfig(server.AWSConfig(region))
		images, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{
			MaxResults: aws.Int32(100), Owners: []string{"099720109477"}, Filters: []types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}},
		})
		if err != nil {
			return err
		}
		launched, err := client.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: images.Images[0].ImageId, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		if err != nil {
			return err
		}
		id := *launched.Instances[0].InstanceId
		time.Sleep(settled)
		if _, err = client.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String(imageName)}); err != nil {
			return err
		}
		if _, err := client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
			return err
		}
	}
	time.Sleep(settled)
	return nil
}
