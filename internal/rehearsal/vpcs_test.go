// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// A created VPC has no internet gateway, and does not replace the default VPC.
func TestVPCs(t *testing.T) {
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Seed: "vpcs"})}
	l.ec2 = l.in("eu-central-1")
	ctx := t.Context()
	made := must[*sdk.CreateVpcOutput](l)(l.ec2.CreateVpc(ctx, &sdk.CreateVpcInput{
		CidrBlock: aws.String("10.1.0.0/16"), TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpc, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("bake")}}}},
	})).Vpc
	net := must[*sdk.CreateSubnetOutput](l)(l.ec2.CreateSubnet(ctx, &sdk.CreateSubnetInput{
		VpcId: made.VpcId, CidrBlock: aws.String("10.1.2.0/24"), AvailabilityZone: aws.String("eu-central-1b"),
	})).Subnet
	if *net.AvailableIpAddressCount != 251 || *net.AvailabilityZone != "eu-central-1b" || *net.MapPublicIpOnLaunch || *net.DefaultForAz {
		t.Errorf("got subnet %+v", net)
	}
	found := must[*sdk.DescribeVpcsOutput](l)(l.ec2.DescribeVpcs(ctx, &sdk.DescribeVpcsInput{Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{"ba*"}}}})).Vpcs
	if len(found) != 1 || *found[0].VpcId != *made.VpcId || *found[0].IsDefault {
		t.Errorf("filter by tag: got %+v", found)
	}
	tables := must[*sdk.DescribeRouteTablesOutput](l)(l.ec2.DescribeRouteTables(ctx, &sdk.DescribeRouteTablesInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{*made.VpcId}}}})).RouteTables
	if len(tables) != 1 || len(tables[0].Routes) != 1 || *tables[0].Routes[0].GatewayId != "local" {
		t.Errorf("got route tables %+v", tables)
	}
	group := must[*sdk.CreateSecurityGroupOutput](l)(l.ec2.CreateSecurityGroup(ctx, &sdk.CreateSecurityGroupInput{
		GroupName: aws.String("bake"), Description: aws.String("d"), VpcId: made.VpcId,
	})).GroupId
	launch := func(subnet *string, groups ...string) (*sdk.RunInstancesOutput, error) {
		return l.ec2.RunInstances(ctx, &sdk.RunInstancesInput{
			ImageId: aws.String(l.source()), InstanceType: types.InstanceTypeM5Large, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: subnet, SecurityGroupIds: groups,
		})
	}
	inside := must[*sdk.RunInstancesOutput](l)(launch(net.SubnetId, *group)).Instances[0]
	if *inside.VpcId != *made.VpcId || *inside.SubnetId != *net.SubnetId || *inside.Placement.AvailabilityZone != "eu-central-1b" {
		t.Errorf("got instance in %s, %s", *inside.VpcId, *inside.SubnetId)
	}
	plain := must[*sdk.RunInstancesOutput](l)(launch(nil)).Instances[0]
	if *plain.VpcId == *made.VpcId {
		t.Error("launch without a subnet: not in the default VPC")
	}
	byDefault := must[*sdk.RunInstancesOutput](l)(launch(net.SubnetId)).Instances[0]
	if *byDefault.SecurityGroups[0].GroupId == *plain.SecurityGroups[0].GroupId {
		t.Error("the instance has the default group of the default VPC")
	}
	described := must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{*inside.InstanceId}})).Reservations[0].Instances[0]
	if described.PublicIpAddress != nil {
		t.Errorf("got public address %s", *described.PublicIpAddress)
	}

	defaultSubnet := plain.SubnetId
	for _, test := range []struct {
		name, code string
		call       func() error
	}{
		{"group of another VPC", "InvalidParameter", func() error { _, err := launch(defaultSubnet, *group); return err }},
		{"group of the default VPC", "InvalidParameter", func() error { _, err := launch(net.SubnetId, *plain.SecurityGroups[0].GroupId); return err }},
		{"unknown subnet", "InvalidSubnetID.NotFound", func() error { _, err := launch(aws.String("subnet-nope")); return err }},
		{"malformed group id", "InvalidGroupId.Malformed", func() error { _, err := launch(net.SubnetId, "default"); return err }},
		{"unknown VPC", "InvalidVpcID.NotFound", func() error {
			_, err := l.ec2.CreateSubnet(ctx, &sdk.CreateSubnetInput{VpcId: aws.String("vpc-0"), CidrBlock: aws.String("10.1.0.0/24")})
			return err
		}},
		{"group in an unknown VPC", "InvalidVpcID.NotFound", func() error {
			_, err := l.ec2.CreateSecurityGroup(ctx, &sdk.CreateSecurityGroupInput{GroupName: aws.String("x"), Description: aws.String("d"), VpcId: aws.String("vpc-00000000000000000")})
			return err
		}},
		{"overlapping CIDR block", "InvalidSubnet.Conflict", func() error {
			_, err := l.ec2.CreateSubnet(ctx, &sdk.CreateSubnetInput{VpcId: made.VpcId, CidrBlock: aws.String("10.1.2.128/25")})
			return err
		}},
		{"CIDR block outside the VPC", "InvalidSubnet.Range", func() error {
			_, err := l.ec2.CreateSubnet(ctx, &sdk.CreateSubnetInput{VpcId: made.VpcId, CidrBlock: aws.String("10.2.0.0/24")})
			return err
		}},
		{"too large CIDR block", "InvalidVpc.Range", func() error {
			_, err := l.ec2.CreateVpc(ctx, &sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/8")})
			return err
		}},
		{"VPC in use", "DependencyViolation", func() error {
			_, err := l.ec2.DeleteVpc(ctx, &sdk.DeleteVpcInput{VpcId: made.VpcId})
			return err
		}},
		{"subnet in use", "DependencyViolation", func() error {
			_, err := l.ec2.DeleteSubnet(ctx, &sdk.DeleteSubnetInput{SubnetId: net.SubnetId})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) { l.wantCode(test.call(), test.code) })
	}

	must[*sdk.ModifySubnetAttributeOutput](l)(l.ec2.ModifySubnetAttribute(ctx, &sdk.ModifySubnetAttributeInput{SubnetId: net.SubnetId, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))
	must[*sdk.TerminateInstancesOutput](l)(l.ec2.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{*inside.InstanceId, *byDefault.InstanceId}}))
	must[*sdk.DeleteSubnetOutput](l)(l.ec2.DeleteSubnet(ctx, &sdk.DeleteSubnetInput{SubnetId: net.SubnetId}))
	must[*sdk.DeleteSecurityGroupOutput](l)(l.ec2.DeleteSecurityGroup(ctx, &sdk.DeleteSecurityGroupInput{GroupId: group}))
	must[*sdk.DeleteVpcOutput](l)(l.ec2.DeleteVpc(ctx, &sdk.DeleteVpcInput{VpcId: made.VpcId}))
	if left := must[*sdk.DescribeVpcsOutput](l)(l.ec2.DescribeVpcs(ctx, &sdk.DescribeVpcsInput{})).Vpcs; len(left) != 1 {
		t.Errorf("resources left: %+v", left)
	}
}
