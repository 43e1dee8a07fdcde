// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
)

// RegisterAPI holds the EC2 requests for registering an image under another name.
type RegisterAPI interface {
	cleanup.API
	RegisterImage(context.Context, *ec2.RegisterImageInput, ...func(*ec2.Options)) (*ec2.RegisterImageOutput, error)
}

// Renamable returns why registering an image again from its snapshots would lose its
// billing code, or empty if it has none. Only CreateImage and CopyImage preserve the
// code.
func Renamable(image ec2types.Image) (why string) {
	if op := aws.ToString(image.UsageOperation); op != "" && op != "RunInstances" {
		return fmt.Sprintf("it is billed as %q (%s)", op, aws.ToString(image.PlatformDetails))
	}
	if len(image.ProductCodes) > 0 {
		return "it has product codes"
	}
	return ""
}

// Register registers an available image again under another name with the same
// snapshots, as EC2 cannot rename an image. The new image is available
// immediately. After a lost response, a retry finds the name in use by the image
// itself, identified by the tag mark, and returns it.
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
			if ebs.KmsKeyId = nil; ebs.SnapshotId != nil {
				ebs.Encrypted = nil // EC2 uses the snapshot's state and refuses the parameter
			}
			device.Ebs = &ebs
		}
		input.BlockDeviceMappings = append(input.BlockDeviceMappings, device)
	}
	image := Image{Region: region, Snapshots: cleanup.SnapshotsOf(from)}
	out, err := client.RegisterImage(ctx, input)
	if err == nil {
		image.ID = aws.ToString(out.ImageId)
		return image, nil
	}
	if awsclient.IsNameInUse(err) {
		found, findErr := Find(ctx, client, map[string]string{"name": name, "tag:" + aws.ToString(mark.Key): aws.ToString(mark.Value)})
		if findErr == nil && len(found) == 1 {
			image.ID = aws.ToString(found[0].ImageId)
			return image, nil
		}
	}
	return Image{}, fmt.Errorf("registering %s as %q: %w", aws.ToString(from.ImageId), name, err)
}

// DeleteSnapshots deletes the snapshots with a tag in a region, and returns the
// deleted ones.
func DeleteSnapshots(ctx context.Context, remover cleanup.Remover, region, key, value string) (deleted []string, err error) {
	found, err := cleanup.ListSnapshots(ctx, remover.Client, ec2types.Filter{Name: aws.String("tag:" + key), Values: []string{value}})
	failures := []error{err}
	for _, snapshot := range found {
		id := aws.ToString(snapshot.SnapshotId)
		if err := remover.Remove(ctx, cleanup.Entry{Kind: cleanup.Snapshot, Region: region, ID: id, Seen: true}); err != nil {
			failures = append(failures, fmt.Errorf("deleting %s: %w", id, err))
			continue
		}
		deleted = append(deleted, id)
	}
	return deleted, errors.Join(failures...)
}
