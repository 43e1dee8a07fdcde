// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// ImageAPI holds the EC2 requests for removing an image.
type ImageAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...option) (*ec2.DeregisterImageOutput, error)
	DisableImageDeregistrationProtection(context.Context, *ec2.DisableImageDeregistrationProtectionInput, ...option) (*ec2.DisableImageDeregistrationProtectionOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...option) (*ec2.DeleteSnapshotOutput, error)
}

// Deregister deregisters an image and keeps its snapshots. It disables
// deregistration protection first; a cooldown may still prevent deregistering.
func (r Remover) Deregister(ctx context.Context, e Entry) error {
	if err := r.remove(ctx, e, r.call(e)); err != nil {
		return fmt.Errorf("deregistering %s in %s: %w", e.ID, e.Region, err)
	}
	return nil
}

func deregister(ctx context.Context, c ImageAPI, id string) error {
	do := func() error {
		_, err := c.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
		if awsclient.Code(err) == "InvalidAMIID.Unavailable" {
			return nil // already deregistered
		}
		return err
	}
	err := do()
	if awsclient.Code(err) == "OperationNotPermitted" {
		_, err = c.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: &id})
		if err == nil {
			err = do()
		}
	}
	return err
}

// removeImage deregisters an image, including pending, disabled and protected ones,
// and deletes its snapshots, except those that another image uses. Snapshots that it
// cannot delete are in the ledger.
func (r Remover) removeImage(ctx context.Context, e Entry) error {
	var snapshots []string
	var unknown error // why the snapshots are unknown
	want := max(1, r.Ledger.snapshots(e))
	do := r.call(e)
	err := r.remove(ctx, e, func(ctx context.Context) (bool, error) {
		var found []string
		var listed int
		found, listed, unknown = findSnapshots(ctx, r.Client, e.ID) // only an existing image lists its snapshots
		snapshots, want = append(snapshots, found...), max(want, listed)
		return do(ctx)
	})
	unseen := new(UnseenError)
	if err != nil && !errors.As(err, &unseen) {
		return fmt.Errorf("deregistering %s in %s: %w", e.ID, e.Region, err)
	}
	failures := []error{err}
	// A copy that has just started gets its snapshots a moment later, and lists
	// return them even later, one after the other.
	for {
		late, lateErr := snapshotsMadeFor(ctx, r.Client, e.ID)
		snapshots = unique(append(snapshots, late...))
		if lateErr != nil || len(snapshots) >= want || !r.young(e) {
			unknown = errors.Join(unknown, lateErr)
			break
		}
		if r.pause(ctx) != nil {
			unknown = fmt.Errorf("listing the snapshots of %s: %w", e.ID, ctx.Err())
			break
		}
	}
	if unknown != nil {
		failures = append(failures, fmt.Errorf("%s in %s is deregistered, but its snapshots are unknown: %w; "+
			"search for snapshots with the image id in their description", e.ID, e.Region, unknown))
	}
	for _, id := range snapshots {
		// A young image may list snapshots that EC2 does not find yet.
		snapshot := Entry{Kind: Snapshot, Region: e.Region, ID: id, Account: e.Account, Seen: !r.young(e)}
		r.Ledger.Add(snapshot)
		if err := r.removeUnused(ctx, snapshot, e.ID); err != nil {
			failures = append(failures, fmt.Errorf("deleting %s in %s: %w", id, e.Region, err))
		}
	}
	return errors.Join(failures...)
}

// errShared ends the removal of a snapshot that another image uses.
var errShared = errors.New("another image uses the snapshot")

// removeUnused deletes a snapshot of a deregistered image. It keeps one that another
// image uses, such as the same image registered again under another name.
func (r Remover) removeUnused(ctx context.Context, snapshot Entry, deregistered string) error {
	do := r.call(snapshot)
	err := r.remove(ctx, snapshot, func(ctx context.Context) (bool, error) {
		accepted, err := do(ctx)
		if awsclient.Code(err) == "InvalidSnapshot.InUse" && usedByAnother(ctx, r.Client, snapshot.ID, deregistered) {
			return false, errShared
		}
		return accepted, err
	})
	if errors.Is(err, errShared) {
		r.Ledger.Strike(snapshot)
		return nil
	}
	return err
}

// usedByAnother reports whether EC2 lists an image of the account, other than the
// given one, that uses a snapshot.
func usedByAnother(ctx context.Context, c ImageAPI, snapshot, but string) bool {
	pages := ec2.NewDescribeImagesPaginator(c, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true),
		Filters: []ec2types.Filter{{Name: aws.String("block-device-mapping.snapshot-id"), Values: []string{snapshot}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false // unknown, so the removal reports EC2's refusal
		}
		if slices.ContainsFunc(page.Images, func(i ec2types.Image) bool { return aws.ToString(i.ImageId) != but }) {
			return true
		}
	}
	return false
}

func unique(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// findSnapshots finds the snapshots that an image lists and, as a pending image
// may not list them, those with EC2's own descriptions: "Created by
// CreateImage(i-...) for ami-..." and "Copied for DestinationAmi ami-... from
// SourceAmi ...". listed is the number of the image's devices with a snapshot.
func findSnapshots(ctx context.Context, c ImageAPI, image string) (found []string, listed int, err error) {
	images, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{
		ImageIds: []string{image}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true),
	})
	if err != nil && !awsclient.IsNotFound(err) && awsclient.Code(err) != "InvalidAMIID.Unavailable" {
		return nil, 0, fmt.Errorf("describing %s: %w", image, err)
	}
	if err == nil && len(images.Images) > 0 {
		found := SnapshotsOf(images.Images[0])
		if images.Images[0].State != ec2types.ImageStatePending && len(found) > 0 {
			return found, len(found), nil
		}
		listed = len(found)
	}
	found, err = snapshotsMadeFor(ctx, c, image)
	return found, listed, err
}

// SnapshotsOf returns the snapshots that an image lists.
func SnapshotsOf(image ec2types.Image) []string {
	var ids []string
	for _, mapping := range image.BlockDeviceMappings {
		if mapping.Ebs != nil && mapping.Ebs.SnapshotId != nil {
			ids = append(ids, *mapping.Ebs.SnapshotId)
		}
	}
	return ids
}

// IsEncrypted reports whether an image has an encrypted volume.
func IsEncrypted(image ec2types.Image) bool {
	return slices.ContainsFunc(image.BlockDeviceMappings, func(m ec2types.BlockDeviceMapping) bool { return m.Ebs != nil && aws.ToBool(m.Ebs.Encrypted) })
}

// SnapshotsMadeFor finds the snapshots of an image by EC2's descriptions.
func SnapshotsMadeFor(ctx context.Context, c ec2.DescribeSnapshotsAPIClient, image string) ([]ec2types.Snapshot, error) {
	return ListSnapshots(ctx, c, ec2types.Filter{
		Name:   aws.String("description"),
		Values: []string{"Created by CreateImage(*) for " + image + "*", "Copied for DestinationAmi " + image + "*"},
	})
}

// ListSnapshots returns the account's snapshots that pass the filters. It always
// requests pages, as EC2 throttles requests for all snapshots at once
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html).
func ListSnapshots(ctx context.Context, c ec2.DescribeSnapshotsAPIClient, filters ...ec2types.Filter) (found []ec2types.Snapshot, err error) {
	pages := ec2.NewDescribeSnapshotsPaginator(c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: filters, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		found = append(found, page.Snapshots...)
	}
	return found, nil
}

func snapshotsMadeFor(ctx context.Context, c ImageAPI, image string) ([]string, error) {
	found, err := SnapshotsMadeFor(ctx, c, image)
	if err != nil {
		err = fmt.Errorf("listing the snapshots of %s: %w", image, err)
	}
	var ids []string
	for _, snapshot := range found {
		ids = append(ids, aws.ToString(snapshot.SnapshotId))
	}
	return ids, err
}
