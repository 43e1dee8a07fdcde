// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/hashicorp/packer-plugin-amazon/common/clients"
)

// EC2 is the client of a region, with one method per EC2 action that the plugin and
// packer-plugin-amazon's steps use.
//
// It wraps the SDK's client, which has ten times as many methods. If a type is
// converted to an interface, the linker keeps all its methods, as a program with
// text/template or net/rpc might call them by name. That would add 25 MB to the
// binary, so the field has a type without them.
//
// Each method sends one request and is named after its action; the EC2 API reference
// documents them.
type EC2 struct{ client *methodless }

// methodless is the SDK's client without its methods.
type methodless ec2.Client

var _ clients.Ec2Client = (*EC2)(nil)

type option = func(*ec2.Options)

func (c *EC2) sdk() *ec2.Client { return (*ec2.Client)(c.client) }

func (c *EC2) AttachVolume(ctx context.Context, in *ec2.AttachVolumeInput, o ...option) (*ec2.AttachVolumeOutput, error) {
	return c.sdk().AttachVolume(ctx, in, o...)
}

func (c *EC2) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, o ...option) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	return c.sdk().AuthorizeSecurityGroupIngress(ctx, in, o...)
}

func (c *EC2) CopyImage(ctx context.Context, in *ec2.CopyImageInput, o ...option) (*ec2.CopyImageOutput, error) {
	return c.sdk().CopyImage(ctx, in, o...)
}

func (c *EC2) CreateFleet(ctx context.Context, in *ec2.CreateFleetInput, o ...option) (*ec2.CreateFleetOutput, error) {
	return c.sdk().CreateFleet(ctx, in, o...)
}

func (c *EC2) CreateImage(ctx context.Context, in *ec2.CreateImageInput, o ...option) (*ec2.CreateImageOutput, error) {
	return c.sdk().CreateImage(ctx, in, o...)
}

func (c *EC2) CreateKeyPair(ctx context.Context, in *ec2.CreateKeyPairInput, o ...option) (*ec2.CreateKeyPairOutput, error) {
	return c.sdk().CreateKeyPair(ctx, in, o...)
}

func (c *EC2) CreateLaunchTemplate(ctx context.Context, in *ec2.CreateLaunchTemplateInput, o ...option) (*ec2.CreateLaunchTemplateOutput, error) {
	return c.sdk().CreateLaunchTemplate(ctx, in, o...)
}

func (c *EC2) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput, o ...option) (*ec2.CreateSecurityGroupOutput, error) {
	return c.sdk().CreateSecurityGroup(ctx, in, o...)
}

func (c *EC2) CreateSnapshot(ctx context.Context, in *ec2.CreateSnapshotInput, o ...option) (*ec2.CreateSnapshotOutput, error) {
	return c.sdk().CreateSnapshot(ctx, in, o...)
}

func (c *EC2) CreateTags(ctx context.Context, in *ec2.CreateTagsInput, o ...option) (*ec2.CreateTagsOutput, error) {
	return c.sdk().CreateTags(ctx, in, o...)
}

func (c *EC2) DeleteKeyPair(ctx context.Context, in *ec2.DeleteKeyPairInput, o ...option) (*ec2.DeleteKeyPairOutput, error) {
	return c.sdk().DeleteKeyPair(ctx, in, o...)
}

func (c *EC2) DeleteLaunchTemplate(ctx context.Context, in *ec2.DeleteLaunchTemplateInput, o ...option) (*ec2.DeleteLaunchTemplateOutput, error) {
	return c.sdk().DeleteLaunchTemplate(ctx, in, o...)
}

func (c *EC2) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, o ...option) (*ec2.DeleteSecurityGroupOutput, error) {
	return c.sdk().DeleteSecurityGroup(ctx, in, o...)
}

func (c *EC2) DeleteSnapshot(ctx context.Context, in *ec2.DeleteSnapshotInput, o ...option) (*ec2.DeleteSnapshotOutput, error) {
	return c.sdk().DeleteSnapshot(ctx, in, o...)
}

func (c *EC2) DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput, o ...option) (*ec2.DeleteTagsOutput, error) {
	return c.sdk().DeleteTags(ctx, in, o...)
}

func (c *EC2) DeleteVolume(ctx context.Context, in *ec2.DeleteVolumeInput, o ...option) (*ec2.DeleteVolumeOutput, error) {
	return c.sdk().DeleteVolume(ctx, in, o...)
}

func (c *EC2) DeregisterImage(ctx context.Context, in *ec2.DeregisterImageInput, o ...option) (*ec2.DeregisterImageOutput, error) {
	return c.sdk().DeregisterImage(ctx, in, o...)
}

func (c *EC2) DescribeCapacityReservations(ctx context.Context, in *ec2.DescribeCapacityReservationsInput, o ...option) (*ec2.DescribeCapacityReservationsOutput, error) {
	return c.sdk().DescribeCapacityReservations(ctx, in, o...)
}

func (c *EC2) DescribeFastLaunchImages(ctx context.Context, in *ec2.DescribeFastLaunchImagesInput, o ...option) (*ec2.DescribeFastLaunchImagesOutput, error) {
	return c.sdk().DescribeFastLaunchImages(ctx, in, o...)
}

func (c *EC2) DescribeImageAttribute(ctx context.Context, in *ec2.DescribeImageAttributeInput, o ...option) (*ec2.DescribeImageAttributeOutput, error) {
	return c.sdk().DescribeImageAttribute(ctx, in, o...)
}

func (c *EC2) DescribeImageReferences(ctx context.Context, in *ec2.DescribeImageReferencesInput, o ...option) (*ec2.DescribeImageReferencesOutput, error) {
	return c.sdk().DescribeImageReferences(ctx, in, o...)
}

func (c *EC2) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, o ...option) (*ec2.DescribeImagesOutput, error) {
	return c.sdk().DescribeImages(ctx, in, o...)
}

func (c *EC2) DescribeImportImageTasks(ctx context.Context, in *ec2.DescribeImportImageTasksInput, o ...option) (*ec2.DescribeImportImageTasksOutput, error) {
	return c.sdk().DescribeImportImageTasks(ctx, in, o...)
}

func (c *EC2) DescribeInstanceStatus(ctx context.Context, in *ec2.DescribeInstanceStatusInput, o ...option) (*ec2.DescribeInstanceStatusOutput, error) {
	return c.sdk().DescribeInstanceStatus(ctx, in, o...)
}

func (c *EC2) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput, o ...option) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	return c.sdk().DescribeInstanceTypeOfferings(ctx, in, o...)
}

func (c *EC2) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput, o ...option) (*ec2.DescribeInstanceTypesOutput, error) {
	return c.sdk().DescribeInstanceTypes(ctx, in, o...)
}

func (c *EC2) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, o ...option) (*ec2.DescribeInstancesOutput, error) {
	return c.sdk().DescribeInstances(ctx, in, o...)
}

func (c *EC2) DescribeKeyPairs(ctx context.Context, in *ec2.DescribeKeyPairsInput, o ...option) (*ec2.DescribeKeyPairsOutput, error) {
	return c.sdk().DescribeKeyPairs(ctx, in, o...)
}

func (c *EC2) DescribeLaunchTemplates(ctx context.Context, in *ec2.DescribeLaunchTemplatesInput, o ...option) (*ec2.DescribeLaunchTemplatesOutput, error) {
	return c.sdk().DescribeLaunchTemplates(ctx, in, o...)
}

func (c *EC2) DescribeRegions(ctx context.Context, in *ec2.DescribeRegionsInput, o ...option) (*ec2.DescribeRegionsOutput, error) {
	return c.sdk().DescribeRegions(ctx, in, o...)
}

func (c *EC2) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, o ...option) (*ec2.DescribeRouteTablesOutput, error) {
	return c.sdk().DescribeRouteTables(ctx, in, o...)
}

func (c *EC2) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, o ...option) (*ec2.DescribeSecurityGroupsOutput, error) {
	return c.sdk().DescribeSecurityGroups(ctx, in, o...)
}

func (c *EC2) DescribeSnapshotAttribute(ctx context.Context, in *ec2.DescribeSnapshotAttributeInput, o ...option) (*ec2.DescribeSnapshotAttributeOutput, error) {
	return c.sdk().DescribeSnapshotAttribute(ctx, in, o...)
}

func (c *EC2) DescribeSnapshots(ctx context.Context, in *ec2.DescribeSnapshotsInput, o ...option) (*ec2.DescribeSnapshotsOutput, error) {
	return c.sdk().DescribeSnapshots(ctx, in, o...)
}

func (c *EC2) DescribeSpotPriceHistory(ctx context.Context, in *ec2.DescribeSpotPriceHistoryInput, o ...option) (*ec2.DescribeSpotPriceHistoryOutput, error) {
	return c.sdk().DescribeSpotPriceHistory(ctx, in, o...)
}

func (c *EC2) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, o ...option) (*ec2.DescribeSubnetsOutput, error) {
	return c.sdk().DescribeSubnets(ctx, in, o...)
}

func (c *EC2) DescribeVolumes(ctx context.Context, in *ec2.DescribeVolumesInput, o ...option) (*ec2.DescribeVolumesOutput, error) {
	return c.sdk().DescribeVolumes(ctx, in, o...)
}

func (c *EC2) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, o ...option) (*ec2.DescribeVpcsOutput, error) {
	return c.sdk().DescribeVpcs(ctx, in, o...)
}

func (c *EC2) DetachVolume(ctx context.Context, in *ec2.DetachVolumeInput, o ...option) (*ec2.DetachVolumeOutput, error) {
	return c.sdk().DetachVolume(ctx, in, o...)
}

func (c *EC2) DisableImage(ctx context.Context, in *ec2.DisableImageInput, o ...option) (*ec2.DisableImageOutput, error) {
	return c.sdk().DisableImage(ctx, in, o...)
}

func (c *EC2) DisableImageDeregistrationProtection(ctx context.Context, in *ec2.DisableImageDeregistrationProtectionInput, o ...option) (*ec2.DisableImageDeregistrationProtectionOutput, error) {
	return c.sdk().DisableImageDeregistrationProtection(ctx, in, o...)
}

func (c *EC2) EnableFastLaunch(ctx context.Context, in *ec2.EnableFastLaunchInput, o ...option) (*ec2.EnableFastLaunchOutput, error) {
	return c.sdk().EnableFastLaunch(ctx, in, o...)
}

func (c *EC2) EnableImageDeprecation(ctx context.Context, in *ec2.EnableImageDeprecationInput, o ...option) (*ec2.EnableImageDeprecationOutput, error) {
	return c.sdk().EnableImageDeprecation(ctx, in, o...)
}

func (c *EC2) EnableImageDeregistrationProtection(ctx context.Context, in *ec2.EnableImageDeregistrationProtectionInput, o ...option) (*ec2.EnableImageDeregistrationProtectionOutput, error) {
	return c.sdk().EnableImageDeregistrationProtection(ctx, in, o...)
}

func (c *EC2) GetEbsDefaultKmsKeyId(ctx context.Context, in *ec2.GetEbsDefaultKmsKeyIdInput, o ...option) (*ec2.GetEbsDefaultKmsKeyIdOutput, error) {
	return c.sdk().GetEbsDefaultKmsKeyId(ctx, in, o...)
}

func (c *EC2) GetEbsEncryptionByDefault(ctx context.Context, in *ec2.GetEbsEncryptionByDefaultInput, o ...option) (*ec2.GetEbsEncryptionByDefaultOutput, error) {
	return c.sdk().GetEbsEncryptionByDefault(ctx, in, o...)
}

func (c *EC2) GetImageBlockPublicAccessState(ctx context.Context, in *ec2.GetImageBlockPublicAccessStateInput, o ...option) (*ec2.GetImageBlockPublicAccessStateOutput, error) {
	return c.sdk().GetImageBlockPublicAccessState(ctx, in, o...)
}

func (c *EC2) GetPasswordData(ctx context.Context, in *ec2.GetPasswordDataInput, o ...option) (*ec2.GetPasswordDataOutput, error) {
	return c.sdk().GetPasswordData(ctx, in, o...)
}

func (c *EC2) GetSnapshotBlockPublicAccessState(ctx context.Context, in *ec2.GetSnapshotBlockPublicAccessStateInput, o ...option) (*ec2.GetSnapshotBlockPublicAccessStateOutput, error) {
	return c.sdk().GetSnapshotBlockPublicAccessState(ctx, in, o...)
}

func (c *EC2) ImportImage(ctx context.Context, in *ec2.ImportImageInput, o ...option) (*ec2.ImportImageOutput, error) {
	return c.sdk().ImportImage(ctx, in, o...)
}

func (c *EC2) ModifyImageAttribute(ctx context.Context, in *ec2.ModifyImageAttributeInput, o ...option) (*ec2.ModifyImageAttributeOutput, error) {
	return c.sdk().ModifyImageAttribute(ctx, in, o...)
}

func (c *EC2) GetConsoleOutput(ctx context.Context, in *ec2.GetConsoleOutputInput, o ...option) (*ec2.GetConsoleOutputOutput, error) {
	return c.sdk().GetConsoleOutput(ctx, in, o...)
}

func (c *EC2) ModifyInstanceAttribute(ctx context.Context, in *ec2.ModifyInstanceAttributeInput, o ...option) (*ec2.ModifyInstanceAttributeOutput, error) {
	return c.sdk().ModifyInstanceAttribute(ctx, in, o...)
}

func (c *EC2) ModifySnapshotAttribute(ctx context.Context, in *ec2.ModifySnapshotAttributeInput, o ...option) (*ec2.ModifySnapshotAttributeOutput, error) {
	return c.sdk().ModifySnapshotAttribute(ctx, in, o...)
}

func (c *EC2) RegisterImage(ctx context.Context, in *ec2.RegisterImageInput, o ...option) (*ec2.RegisterImageOutput, error) {
	return c.sdk().RegisterImage(ctx, in, o...)
}

func (c *EC2) RunInstances(ctx context.Context, in *ec2.RunInstancesInput, o ...option) (*ec2.RunInstancesOutput, error) {
	return c.sdk().RunInstances(ctx, in, o...)
}

func (c *EC2) StopInstances(ctx context.Context, in *ec2.StopInstancesInput, o ...option) (*ec2.StopInstancesOutput, error) {
	return c.sdk().StopInstances(ctx, in, o...)
}

func (c *EC2) TerminateInstances(ctx context.Context, in *ec2.TerminateInstancesInput, o ...option) (*ec2.TerminateInstancesOutput, error) {
	return c.sdk().TerminateInstances(ctx, in, o...)
}
