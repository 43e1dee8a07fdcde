// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
)

// TestAgainstMoto checks requests and responses against moto, which implements networks
// that a rehearsal lacks.
func TestAgainstMoto(t *testing.T) {
	config := mototest.Start(t, home)
	l := &lab{T: t, clients: awsclient.New(config, "")}
	ctx, cloud, keys := t.Context(), ec2.NewFromConfig(config), l.clients.KMS("us-east-1")

	vpc, err := cloud.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	l.must(err)
	subnet := func(zone, cidr string) string {
		out, err := cloud.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, AvailabilityZone: aws.String(home + zone), CidrBlock: &cidr})
		l.must(err)
		return *out.Subnet.SubnetId
	}
	public, private := subnet("a", "10.0.1.0/24"), subnet("b", "10.0.2.0/24")
	gateway, err := cloud.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})
	l.must(err)
	_, err = cloud.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{VpcId: vpc.Vpc.VpcId, InternetGatewayId: gateway.InternetGateway.InternetGatewayId})
	l.must(err)
	table, err := cloud.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc.Vpc.VpcId})
	l.must(err)
	_, err = cloud.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: table.RouteTable.RouteTableId, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gateway.InternetGateway.InternetGatewayId})
	l.must(err)
	_, err = cloud.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: table.RouteTable.RouteTableId, SubnetId: &public})
	l.must(err)

	images, err := cloud.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}}})
	l.must(err)
	l.plan = planFor(l.clients, home, "us-east-1")
	l.plan.Launch.Source = preflight.Source{Attribute: "source_ami", Question: &ec2.DescribeImagesInput{ImageIds: []string{*images.Images[0].ImageId}}}
	l.plan.Launch.Types, l.plan.Launch.Address = []string{"g4dn.xlarge"}, preflight.PublicAddress
	in := func(subnet, zone string) {
		l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) {
			return *vpc.Vpc.VpcId, []launch.Place{{Zone: home + zone, Subnet: subnet}}, nil
		}
	}
	in(public, "a")
	report, err := preflight.Run(ctx, l.plan, l.cloud())
	l.must(err)
	if err := report.Err(); err != nil {
		t.Errorf("valid plan: got error %v", err)
	}
	t.Logf("warnings with moto: %q", report.Warnings())
	if !strings.HasPrefix(report.Account, "arn:aws:") || !slices.Contains(report.Checks, "permissions") {
		t.Errorf("got account %q, checks %q", report.Account, report.Checks)
	}

	made, err := keys.CreateKey(ctx, &kms.CreateKeyInput{})
	l.must(err)
	_, err = keys.DisableKey(ctx, &kms.DisableKeyInput{KeyId: made.KeyMetadata.KeyId})
	l.must(err)
	other, err := keys.CreateKey(ctx, &kms.CreateKeyInput{})
	l.must(err)
	instance, err := l.clients.EC2("us-east-1").DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
	l.must(err)
	_, err = l.clients.EC2("us-east-1").CopyImage(ctx, &ec2.CopyImageInput{SourceRegion: aws.String("us-east-1"), SourceImageId: instance.Images[0].ImageId, Name: aws.String("wanted")})
	l.must(err)
	in(private, "b")
	l.plan.Launch.Types = []string{"g5g.xlarge"}
	l.plan.Sharing.Users = []string{"444455556666"}
	l.plan.Keys = []preflight.Key{
		{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: *made.KeyMetadata.KeyId, OfImage: true},
		{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: "alias/nobodys", OfImage: true},
		{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: *other.KeyMetadata.Arn, OfImage: true},
	}
	report, err = preflight.Run(ctx, l.plan, l.cloud())
	l.must(err)
	for _, part := range []string{
		"ami_name: got \"wanted\", which is in use in us-east-1", "instance_types: g5g.xlarge is arm64", private + " has no route to an internet gateway",
		"in us-east-1 is Disabled", `got "alias/nobodys", which is not a key in us-east-1`,
	} {
		if err := report.Err(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error without %q:\n%v", part, err)
		}
	}
	if all := strings.Join(report.Warnings(), "\n"); !strings.Contains(all, "does not include 444455556666") {
		t.Errorf("got no warning about the key's policy: %s", all)
	}
}
