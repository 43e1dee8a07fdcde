// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

// RemoveAPI is what removing an image needs of its region.
type RemoveAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DisableImageDeregistrationProtection(context.Context, *ec2.DisableImageDeregistrationProtectionInput, ...func(*ec2.Options)) (*ec2.DisableImageDeregistrationProtectionOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

// Remove deregisters an image, pending and protected ones too, and deletes its
// snapshots. What is already gone is no error. What is deleted is struck from
// the ledger; snapshots that it finds and cannot delete are added to it.
func Remove(ctx context.Context, client RemoveAPI, region, id string, book *ledger.Ledger) error {
	snapshots, err := findSnapshots(ctx, client, id)
	if err != nil {
		return err
	}
	if err := Deregister(ctx, client, region, id, book); err != nil {
		return err
	}
	// A copy that was just begun gets its snapshot a moment later.
	late, err := snapshotsMadeFor(ctx, client, id)
	if err != nil {
		return err
	}
	snapshots = append(snapshots, late...)
	slices.Sort(snapshots)
	var failures []error
	for _, snapshot := range slices.Compact(snapshots) {
		book.Add(ledger.Entry{Kind: ledger.Snapshot, Region: region, ID: snapshot})
		if err := deleteSnapshot(ctx, client, snapshot); err != nil {
			failures = append(failures, fmt.Errorf("deleting %s in %s: %w", snapshot, region, err))
			continue
		}
		book.Strike(region, snapshot)
	}
	return errors.Join(failures...)
}

// Deregister deregisters an image and leaves its snapshots. It lifts a
// deregistration protection, which the cooldown may outlast.
func Deregister(ctx context.Context, client RemoveAPI, region, id string, book *ledger.Ledger) error {
	deregister := func() error {
		_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(id)})
		return err
	}
	err := deregister()
	if ec2api.Code(err) == "OperationNotPermitted" {
		_, err = client.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: aws.String(id)})
		if err == nil {
			err = deregister()
		}
	}
	if err != nil && !ec2api.IsNotFound(err) {
		return fmt.Errorf("deregistering %s in %s: %w", id, region, err)
	}
	book.Strike(region, id)
	return nil
}

// findSnapshots asks the image, and, since a pending image does not name its
// snapshots, the descriptions that EC2 itself writes: "Created by
// CreateImage(i-...) for ami-..." and "Copied for DestinationAmi ami-... from
// SourceAmi ...".
func findSnapshots(ctx context.Context, client RemoveAPI, image string) ([]string, error) {
	images, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}})
	if err != nil && !ec2api.IsNotFound(err) {
		return nil, fmt.Errorf("describing %s: %w", image, err)
	}
	if err == nil && len(images.Images) > 0 && images.Images[0].State == ec2types.ImageStateAvailable {
		return snapshotsOf(images.Images[0]), nil
	}
	return snapshotsMadeFor(ctx, client, image)
}

// madeFor are the descriptions that EC2 gives to the snapshots of an image.
func madeFor(image string) []string {
	return []string{"Created by CreateImage(*) for " + image + "*", "Copied for DestinationAmi " + image + "*"}
}

// snapshotsMadeFor finds snapshots by what EC2 writes into their descriptions.
func snapshotsMadeFor(ctx context.Context, client RemoveAPI, image string) ([]string, error) {
	pages := ec2.NewDescribeSnapshotsPaginator(client, made(image))
	var ids []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for the snapshots of %s: %w", image, err)
		}
		for _, snapshot := range page.Snapshots {
			ids = append(ids, aws.ToString(snapshot.SnapshotId))
		}
	}
	return ids, nil
}

// deleteSnapshot tries for a while: a deregistered image still holds its
// snapshots for a moment.
func deleteSnapshot(ctx context.Context, client RemoveAPI, id string) error {
	const attempts = 6
	for attempt := 1; ; attempt++ {
		_, err := client.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)})
		if err == nil || ec2api.IsNotFound(err) {
			return nil
		}
		if ec2api.Code(err) != "InvalidSnapshot.InUse" || attempt == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * 500 * time.Millisecond):
		}
	}
}
