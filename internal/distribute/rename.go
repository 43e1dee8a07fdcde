// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// RegisterAPI is what giving an image another name needs of its region.
type RegisterAPI interface {
	RemoveAPI
	RegisterImage(context.Context, *ec2.RegisterImageInput, ...func(*ec2.Options)) (*ec2.RegisterImageOutput, error)
}

// Renamable says why an image cannot be registered anew from its snapshots
// without losing something, empty if it can: EC2 bills some images by a code
// that only CreateImage and CopyImage carry over.
func Renamable(image ec2types.Image) (why string) {
	if op := aws.ToString(image.UsageOperation); op != "" && op != "RunInstances" {
		return fmt.Sprintf("it is billed as %q (%s)", op, aws.ToString(image.PlatformDetails))
	}
	if len(image.ProductCodes) > 0 {
		return "it has product codes"
	}
	return ""
}

// Register registers an available image a second time, under another name, on
// the same snapshots: EC2 cannot rename one. The new image is available at
// once. Where its answer was lost and the call repeated, the name is taken by
// the image itself, which is then returned: it has the tag mark.
func Register(ctx context.Context, client RegisterAPI, from ec2types.Image, region, name string, tags []ec2types.Tag, mark ec2types.Tag) (Image, error) {
	input := &ec2.RegisterImageInput{
		Name:               aws.String(name),
		Description:        from.Description,
		Architecture:       from.Architecture,
		RootDeviceName:     from.RootDeviceName,
		VirtualizationType: aws.String(string(from.VirtualizationType)),
		EnaSupport:         from.EnaSupport,
		SriovNetSupport:    from.SriovNetSupport,
		BootMode:           from.BootMode,
		ImdsSupport:        from.ImdsSupport,
		TpmSupport:         from.TpmSupport,
		TagSpecifications:  tagSpecifications(tags, nil),
	}
	for _, device := range from.BlockDeviceMappings {
		if device.Ebs != nil {
			ebs := *device.Ebs
			ebs.Encrypted, ebs.KmsKeyId = nil, nil // the snapshot's, which EC2 refuses to be told
			device.Ebs = &ebs
		}
		input.BlockDeviceMappings = append(input.BlockDeviceMappings, device)
	}
	image := Image{Region: region, Snapshots: snapshotsOf(from)}
	out, err := client.RegisterImage(ctx, input)
	if err == nil {
		image.ID = aws.ToString(out.ImageId)
		return image, nil
	}
	if ec2api.Code(err) == "InvalidAMIName.Duplicate" {
		found, findErr := Find(ctx, client, map[string]string{"name": name, "tag:" + aws.ToString(mark.Key): aws.ToString(mark.Value)})
		if findErr == nil && len(found) == 1 {
			image.ID = aws.ToString(found[0].ImageId)
			return image, nil
		}
	}
	return Image{}, fmt.Errorf("registering %s as %q: %w", aws.ToString(from.ImageId), name, err)
}

// DeleteSnapshots deletes the snapshots of a region that have a tag, and
// returns those that it deleted.
func DeleteSnapshots(ctx context.Context, client RemoveAPI, key, value string) (deleted []string, err error) {
	pages := ec2.NewDescribeSnapshotsPaginator(client, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"},
		Filters:  []ec2types.Filter{{Name: aws.String("tag:" + key), Values: []string{value}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return deleted, err
		}
		for _, snapshot := range page.Snapshots {
			id := aws.ToString(snapshot.SnapshotId)
			if err := deleteSnapshot(ctx, client, id); err != nil {
				return deleted, fmt.Errorf("deleting %s: %w", id, err)
			}
			deleted = append(deleted, id)
		}
	}
	return deleted, nil
}
