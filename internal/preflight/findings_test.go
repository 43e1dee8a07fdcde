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

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// Each check finds what is wrong, over the real client.
func TestFindings(t *testing.T) {
	for _, test := range []struct {
		name           string
		given          func(l *lab)
		errs, warnings []string
	}{
		{"regions", func(l *lab) {
			l.plan.ImageRegions = []string{home, "af-south-1", "us-east-9"}
		}, []string{`ami_regions: the account has not opted in to "af-south-1"`, `ami_regions: AWS knows no region "us-east-9"`}, nil},
		{"the name is taken in a far region", func(l *lab) {
			source := l.source()
			_, err := l.clients.EC2("us-east-1").CopyImage(l.Context(), &ec2.CopyImageInput{SourceRegion: aws.String(home), SourceImageId: &source, Name: aws.String("wanted")})
			l.must(err)
		}, []string{`ami_name: "wanted" is taken in us-east-1 by ami-`}, nil},
		{"no such source image", func(l *lab) {
			l.plan.Launch.Source = preflight.Source{Attribute: "source_ami", Question: &ec2.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}}}
		}, []string{"source_ami: ami-0123456789abcdef0 is not in eu-central-1 (InvalidAMIID.NotFound); expected an image that this account can see there"}, nil},
		{"the wrong architecture", func(l *lab) {
			l.plan.Launch.Types = []string{"g5g.xlarge"}
		}, []string{"instance_types: g5g.xlarge is arm64, and the source image ami-"}, nil},
		{"the wrong architecture after a type that fits", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlarge", "g5g.xlarge"}
		}, nil, []string{"instance_types: g5g.xlarge is arm64"}},
		{"a type that nobody has", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlagre"}
		}, []string{`instance_types: eu-central-1 does not offer "g4dn.xlagre"`}, nil},
		{"a zone without the type, of two", func(l *lab) {
			l.places(launch.Place{Zone: home + "c"}, launch.Place{Zone: home + "a"})
		}, nil, []string{"g4dn.xlarge is not offered in eu-central-1c; expected zones that have it: eu-central-1a, eu-central-1b"}},
		{"a zone without the type, and no other", func(l *lab) {
			l.places(launch.Place{Zone: home + "c"})
		}, []string{"g4dn.xlarge is not offered in eu-central-1c"}, nil},
		{"a zone without the type that nobody named", func(l *lab) {
			l.plan.Launch.NamedPlaces = false
			l.places(launch.Place{}, launch.Place{Zone: home + "c"})
		}, nil, nil},
		{"the quota of a new account", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
		}, []string{`"Running On-Demand G and VT instances" (L-DB2E81BA) is 0 vCPUs, and g4dn.xlarge needs 4`}, nil},
		{"one of two quotas", func(l *lab) {
			l.plan.Launch.Markets = []launch.Market{launch.Spot, launch.OnDemand}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-3819A6DF", Value: 2})
		}, nil, []string{`markets: spot in eu-central-1: the quota "All G and VT Spot Instance Requests" (L-3819A6DF) is 2 vCPUs`}},
		{"a quota that is in use", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 10})
			source := l.source()
			_, err := l.clients.EC2(home).RunInstances(l.Context(), &ec2.RunInstancesInput{ImageId: &source, InstanceType: "g5.2xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			l.must(err)
		}, []string{"is 10 vCPUs, of which 8 are in use, and g4dn.xlarge needs 4"}, nil},
		{"spot instances are not in the way of others", func(l *lab) {
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
		{"a reservation has been counted", func(l *lab) {
			l.plan.Launch.Markets = []launch.Market{launch.Reservation}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
		}, nil, nil},
		{"a network that may not be looked up", func(l *lab) {
			l.plan.Launch.Network = func(ctx context.Context) (string, []launch.Place, error) {
				l.refuse("DescribeVpcs")
				_, err := l.clients.EC2(home).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
				return "", nil, fmt.Errorf("vpc_filter: looking for VPCs: %w", ec2api.Plain(err))
			}
		}, []string{"vpc_filter: looking for VPCs: UnauthorizedOperation: You are not authorized to perform this operation; allow it, or name subnet_id"}, nil},
		{"a network that cannot be looked up now", func(l *lab) {
			l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) {
				return "", nil, &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
			}
		}, nil, []string{"not known: the network (RequestLimitExceeded: Request limit exceeded.)"}},
		{"the network's own error", func(l *lab) {
			l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) {
				return "", nil, errors.New("vpc_filter: map[a:b] matches 2 VPCs; expected one")
			}
		}, []string{"vpc_filter: map[a:b] matches 2 VPCs; expected one"}, nil},
		{"no such subnet", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: "subnet-0123456789abcdef0"})
		}, []string{"subnet_id: subnet-0123456789abcdef0 is not in eu-central-1 (InvalidSubnetID.NotFound)"}, nil},
		{"a subnet that is good", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "a")})
		}, nil, nil},
		{"a subnet of another zone", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "b")})
		}, []string{"is in eu-central-1b, and not in eu-central-1a; expected a subnet of availability_zone"}, nil},
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
		}, []string{`kms_key_id: "alias/nobodys" is no key in eu-central-1 (NotFoundException)`, "in us-east-1 is Disabled"}, nil},
		{"keys of images that are shared", func(l *lab) {
			l.plan.Sharing.Users = []string{"444455556666"}
			l.plan.Keys = []preflight.Key{
				{Attribute: "kms_key_id", Region: home, OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: l.key("us-east-1", ""), OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: l.key("us-east-1", `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"}}]}`), OfImage: true},
				{Attribute: "launch_block_device_mappings[0].kms_key_id", Region: home, OfImage: false},
			}
		}, []string{"kms_key_id: the image in eu-central-1 is to be shared, and encrypted with the account's default key for EBS"},
			[]string{"in us-east-1 does not name 444455556666, which get the image and cannot launch from it"}},
		{"a public image that is encrypted", func(l *lab) {
			l.plan.Sharing.Groups = []string{"all"}
			l.plan.Keys = []preflight.Key{{Attribute: "kms_key_id", Region: home, ID: l.key(home, ""), OfImage: true}}
		}, []string{`ami_groups: ["all"], but the images are encrypted`}, nil},
		{"images to share that the account encrypts", func(l *lab) {
			l.plan.Sharing.Users = []string{"444455556666"}
			for _, region := range []string{home, "us-east-1"} {
				_, err := l.sdk(region).EnableEbsEncryptionByDefault(l.Context(), &ec2.EnableEbsEncryptionByDefaultInput{})
				l.must(err)
			}
			_, err := l.sdk(home).ModifyEbsDefaultKmsKeyId(l.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String(l.key(home, ""))})
			l.must(err)
		}, []string{"encrypt_boot: the image in us-east-1 is to be shared, and the account encrypts by default there"}, nil},
		{"public access", func(l *lab) {
			l.plan.Sharing.Groups, l.plan.Sharing.SnapshotGroups = []string{"all"}, []string{"all"}
			_, err := l.sdk("us-east-1").EnableImageBlockPublicAccess(l.Context(), &ec2.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: "block-new-sharing"})
			l.must(err)
			_, err = l.sdk(home).EnableSnapshotBlockPublicAccess(l.Context(), &ec2.EnableSnapshotBlockPublicAccessInput{State: "block-all-sharing"})
			l.must(err)
		}, []string{
			`snapshot_groups: ["all"], but eu-central-1 blocks public snapshots (block-all-sharing)`,
			`ami_groups: ["all"], but us-east-1 blocks public images (block-new-sharing); aws ec2 disable-image-block-public-access --region us-east-1`,
		}, nil},
		{"permissions", func(l *lab) {
			for _, action := range []string{"CreateKeyPair", "CopyImage", "RunInstances"} {
				l.refuse(action)
			}
		}, []string{
			"permissions: ec2:CreateKeyPair is not allowed in eu-central-1", "permissions: ec2:CopyImage is not allowed in us-east-1", "permissions: ec2:RunInstances is not allowed in eu-central-1, for g4dn.xlarge, on-demand",
		}, nil},
		{"a type that may not be launched after one that may", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlarge", "g5.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Code: "UnauthorizedOperation"})
		}, nil, []string{"ec2:RunInstances is not allowed in eu-central-1, for g5.xlarge, on-demand"}},
		{"a type that may not be launched before one that may", func(l *lab) {
			l.plan.Launch.Types = []string{"g5.xlarge", "g4dn.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Code: "UnauthorizedOperation"})
		}, []string{"ec2:RunInstances is not allowed in eu-central-1, for g5.xlarge, on-demand"}, nil},
		{"several at once", func(l *lab) {
			l.plan.ImageRegions = append(l.plan.ImageRegions, "us-east-9")
			l.plan.Launch.Types = []string{"g5g.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
			l.refuse("CreateKeyPair")
		}, []string{`AWS knows no region "us-east-9"`, "g5g.xlarge is arm64", "is 0 vCPUs", "ec2:CreateKeyPair is not allowed"}, nil},
		{"credentials that AWS does not take", func(l *lab) {
			config := l.aws.AWSConfig(home)
			config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIAOFNOBODY", SecretAccessKey: "x"}, nil
			})
			l.clients = ec2api.New(config, "")
			l.plan = planFor(l.clients, home, "us-east-1")
		}, []string{"credentials: AWS does not take them (AuthFailure); expected an access key that exists"}, nil},
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
