// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// TestFindings runs each check through the real client.
func TestFindings(t *testing.T) {
	for _, test := range []struct {
		name           string
		given          func(l *lab)
		errs, warnings []string
	}{
		{"regions", func(l *lab) {
			l.plan.ImageRegions = []string{home, "af-south-1", "us-east-9"}
		}, []string{`ami_regions: got "af-south-1", which the account has not opted in to`, `ami_regions: got "us-east-9", which AWS does not offer`}, nil},
		{"the name is in use in another region", func(l *lab) {
			source := l.source()
			_, err := l.clients.EC2("us-east-1").CopyImage(l.Context(), &ec2.CopyImageInput{SourceRegion: aws.String(home), SourceImageId: &source, Name: aws.String("wanted")})
			l.must(err)
		}, []string{`ami_name: got "wanted", which is in use in us-east-1 by ami-`}, nil},
		{"an image of the same build has the name", func(l *lab) {
			source := l.source()
			l.plan.BuildID = "6741f2a3"
			_, err := l.clients.EC2("us-east-1").CopyImage(l.Context(), &ec2.CopyImageInput{
				SourceRegion: aws.String(home), SourceImageId: &source, Name: aws.String("wanted"),
				TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImage, Tags: []ec2types.Tag{{Key: aws.String(tags.BuildID), Value: aws.String("6741f2a3")}}}},
			})
			l.must(err)
		}, []string{"an image of this build; run the same build again with its build_id"}, nil},
		{"no such source image", func(l *lab) {
			l.plan.Launch.Source = preflight.Source{Attribute: "source_ami", Question: &ec2.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}}}
		}, []string{"source_ami: ami-0123456789abcdef0 is not in eu-central-1 (InvalidAMIID.NotFound), want an image that this account can access there"}, nil},
		{"the wrong architecture", func(l *lab) {
			l.plan.Launch.Types = []string{"g5g.xlarge"}
		}, []string{"instance_types: g5g.xlarge is arm64, but the source image ami-"}, nil},
		{"the wrong architecture after a type that fits", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlarge", "g5g.xlarge"}
		}, nil, []string{"instance_types: g5g.xlarge is arm64"}},
		{"an unknown type", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlagre"}
		}, []string{`instance_types: got "g4dn.xlagre", which is not offered in eu-central-1`}, nil},
		{"one of two zones lacks the type", func(l *lab) {
			l.places(launch.Place{Zone: home + "c"}, launch.Place{Zone: home + "a"})
		}, nil, []string{"g4dn.xlarge is not offered in eu-central-1c, want zones that offer it: eu-central-1a, eu-central-1b"}},
		{"the only zone lacks the type", func(l *lab) {
			l.places(launch.Place{Zone: home + "c"})
		}, []string{"g4dn.xlarge is not offered in eu-central-1c"}, nil},
		{"a zone that the user did not name lacks the type", func(l *lab) {
			l.plan.Launch.NamedPlaces = false
			l.places(launch.Place{}, launch.Place{Zone: home + "c"})
		}, nil, nil},
		{"the quota of a new account", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
		}, []string{`"Running On-Demand G and VT instances" (L-DB2E81BA) is 0 vCPUs, but g4dn.xlarge needs 4`}, nil},
		{"one of two quotas", func(l *lab) {
			l.plan.Launch.Markets = []launch.Market{launch.Spot, launch.OnDemand}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-3819A6DF", Value: 2})
		}, nil, []string{`markets: spot in eu-central-1: the quota "All G and VT Spot Instance Requests" (L-3819A6DF) is 2 vCPUs`}},
		{"a quota that is in use", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 10})
			source := l.source()
			_, err := l.clients.EC2(home).RunInstances(l.Context(), &ec2.RunInstancesInput{ImageId: &source, InstanceType: "g5.2xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			l.must(err)
		}, []string{"is 10 vCPUs, of which 8 are in use, but g4dn.xlarge needs 4"}, nil},
		{"spot instances do not count against on-demand quotas", func(l *lab) {
			l.plan.Launch.Markets = []launch.Market{launch.OnDemand, launch.Spot}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 4})
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-3819A6DF", Value: 10})
			source := l.source()
			_, err := l.clients.EC2(home).RunInstances(l.Context(), &ec2.RunInstancesInput{
				ImageId: &source, InstanceType: "g5.2xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
				InstanceMarketOptions: &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot},
			})
			l.must(err)
		}, nil, []string{"(L-3819A6DF) is 10 vCPUs, of which 8 are in use"}},
		{"stopped instances do not count", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 10})
			id := l.launch("g5.2xlarge", nil)
			_, err := l.clients.EC2(home).StopInstances(l.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
			l.must(err)
		}, nil, nil},
		{"instances on dedicated hosts do not count", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 10})
			l.launch("g5.2xlarge", &ec2types.Placement{Tenancy: ec2types.TenancyHost})
		}, nil, nil},
		{"a reservation already counts against the quota", func(l *lab) {
			l.plan.Launch.Markets = []launch.Market{launch.Reservation}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
		}, nil, nil},
		{"a denied look-up of the network", func(l *lab) {
			l.plan.Launch.Network = func(ctx context.Context) (string, []launch.Place, error) {
				l.refuse("DescribeVpcs")
				_, err := l.clients.EC2(home).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
				return "", nil, fmt.Errorf("vpc_filter: looking for VPCs: %w", awsclient.Plain(err))
			}
		}, []string{"vpc_filter: looking for VPCs: UnauthorizedOperation: You are not authorized to perform this operation; allow ec2:DescribeVpcs in eu-central-1; or set subnet_id"}, nil},
		{"a throttled look-up of the network", func(l *lab) {
			l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) {
				return "", nil, &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
			}
		}, nil, []string{"not checked: the network (RequestLimitExceeded: Request limit exceeded.)"}},
		{"the network's own error", func(l *lab) {
			l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) {
				return "", nil, errors.New("vpc_filter: map[a:b] matches 2 VPCs, want one")
			}
		}, []string{"vpc_filter: map[a:b] matches 2 VPCs, want one"}, nil},
		{"no such subnet", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: "subnet-0123456789abcdef0"})
		}, []string{"subnet_id: subnet-0123456789abcdef0 is not in eu-central-1 (InvalidSubnetID.NotFound)"}, nil},
		{"a suitable subnet", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "a")})
		}, nil, nil},
		{"a subnet of another zone", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "b")})
		}, []string{"is in eu-central-1b, not in eu-central-1a, want a subnet of availability_zone"}, nil},
		{"keys", func(l *lab) {
			off := l.key("us-east-1", "")
			_, err := l.clients.KMS("us-east-1").DisableKey(l.Context(), &kms.DisableKeyInput{KeyId: &off})
			l.must(err)
			l.plan.Keys = []preflight.Key{
				{Attribute: "kms_key_id", Region: home, ID: "alias/nobodys", OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: off, OfImage: true},
				{Attribute: "kms_key_id", Region: home, ID: l.key(home, ""), OfImage: true},
				{Attribute: "kms_key_id", Region: home, ID: "alias/aws/ebs", OfImage: true},
			}
		}, []string{`kms_key_id: got "alias/nobodys", which is not a key in eu-central-1 (NotFoundException)`, "in us-east-1 is Disabled"}, nil},
		{"keys of shared images", func(l *lab) {
			l.plan.Sharing.Users = []string{"444455556666"}
			l.plan.Keys = []preflight.Key{
				{Attribute: "kms_key_id", Region: home, OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: l.key("us-east-1", ""), OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: l.key("us-east-1", `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"}}]}`), OfImage: true},
				{Attribute: "launch_block_device_mappings[0].kms_key_id", Region: home, OfImage: false},
			}
		}, []string{"kms_key_id: the image in eu-central-1 is shared, but encrypted with the account's default key for EBS"},
			[]string{"in us-east-1 does not include 444455556666, which cannot launch from the shared image"}},
		{"an encrypted public image", func(l *lab) {
			l.plan.Sharing.Groups = []string{"all"}
			l.plan.Keys = []preflight.Key{{Attribute: "kms_key_id", Region: home, ID: l.key(home, ""), OfImage: true}}
		}, []string{`ami_groups: got ["all"], but the images are encrypted`}, nil},
		{"shared images that the account encrypts by default", func(l *lab) {
			l.plan.Sharing.Users = []string{"444455556666"}
			for _, region := range []string{home, "us-east-1"} {
				_, err := l.sdk(region).EnableEbsEncryptionByDefault(l.Context(), &ec2.EnableEbsEncryptionByDefaultInput{})
				l.must(err)
			}
			_, err := l.sdk(home).ModifyEbsDefaultKmsKeyId(l.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String(l.key(home, ""))})
			l.must(err)
		}, []string{"encrypt_boot: the image in us-east-1 is shared, but the account encrypts by default in this region"}, nil},
		{"public access", func(l *lab) {
			l.plan.Sharing.Groups, l.plan.Sharing.SnapshotGroups = []string{"all"}, []string{"all"}
			_, err := l.sdk("us-east-1").EnableImageBlockPublicAccess(l.Context(), &ec2.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: "block-new-sharing"})
			l.must(err)
			_, err = l.sdk(home).EnableSnapshotBlockPublicAccess(l.Context(), &ec2.EnableSnapshotBlockPublicAccessInput{State: "block-all-sharing"})
			l.must(err)
		}, []string{
			`snapshot_groups: got ["all"], but eu-central-1 blocks public snapshots (block-all-sharing)`,
			`ami_groups: got ["all"], but us-east-1 blocks public images (block-new-sharing); aws ec2 disable-image-block-public-access --region us-east-1`,
		}, nil},
		{"permissions", func(l *lab) {
			for _, action := range []string{"CreateKeyPair", "CopyImage", "RunInstances"} {
				l.refuse(action)
			}
		}, []string{
			"permissions: ec2:CreateKeyPair is not allowed in eu-central-1", "permissions: ec2:CopyImage is not allowed in us-east-1", "permissions: ec2:RunInstances is not allowed in eu-central-1, for g4dn.xlarge, on-demand",
		}, nil},
		{"a denied type after an allowed one", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlarge", "g5.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Code: "UnauthorizedOperation"})
		}, nil, []string{"ec2:RunInstances is not allowed in eu-central-1, for g5.xlarge, on-demand"}},
		{"a denied type before an allowed one", func(l *lab) {
			l.plan.Launch.Types = []string{"g5.xlarge", "g4dn.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Code: "UnauthorizedOperation"})
		}, []string{"ec2:RunInstances is not allowed in eu-central-1, for g5.xlarge, on-demand"}, nil},
		{"several at once", func(l *lab) {
			l.plan.ImageRegions = append(l.plan.ImageRegions, "us-east-9")
			l.plan.Launch.Types = []string{"g5g.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
			l.refuse("CreateKeyPair")
		}, []string{`got "us-east-9", which AWS does not offer`, "g5g.xlarge is arm64", "is 0 vCPUs", "ec2:CreateKeyPair is not allowed"}, nil},
		{"credentials that AWS rejects", func(l *lab) {
			config := l.aws.AWSConfig(home)
			config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIAOFNOBODY", SecretAccessKey: "x"}, nil
			})
			l.clients = awsclient.New(config, "")
			l.plan = planFor(l.clients, home, "us-east-1")
		}, []string{"credentials: AWS rejects them (InvalidClientTokenId: The security token included in the request is invalid.), want a valid access key"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			test.given(l)
			report, err := preflight.Run(l.Context(), l.plan, l.cloud())
			if err != nil {
				t.Fatal(err)
			}
			l.want(report, test.errs, test.warnings)
		})
	}
}
