// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
)

// LendAPI holds the EC2 requests for sharing an image for the time of a copy.
type LendAPI interface {
	cleanup.ShareAPI
	ec2.DescribeSnapshotsAPIClient
}

// GrantAPI holds the KMS requests for sharing the key of an image.
type GrantAPI interface {
	cleanup.GrantAPI
	CreateGrant(context.Context, *kms.CreateGrantInput, ...func(*kms.Options)) (*kms.CreateGrantOutput, error)
}

// Lender shares images of the build with another account while that copies them. Each
// share is in the ledger from before its request until AWS no longer returns it.
type Lender struct {
	Account string // that copies
	Role    string // the ARN of its role, which gets the grants
	BuildID string
	// EC2 and Keys return the clients of the build's account. Keys is nil if the
	// endpoint serves only EC2.
	EC2  func(region string) LendAPI
	Keys func(region string) GrantAPI
	// Remover revokes; it has its own clients for the region.
	Remover func(region string) cleanup.Remover
	Retry   Backoff
	Ledger  *cleanup.Ledger
	Say     func(format string, args ...any)
}

// toCopy are the operations that EBS performs with the key of a snapshot when the role
// copies the image
// (https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html).
var toCopy = []kmstypes.GrantOperation{
	kmstypes.GrantOperationCreateGrant, kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationDescribeKey,
	kmstypes.GrantOperationGenerateDataKeyWithoutPlaintext, kmstypes.GrantOperationReEncryptFrom, kmstypes.GrantOperationReEncryptTo,
}

// Lend shares an available image: its keys, its snapshots, and itself. The returned
// function revokes everything again; it is never nil. granted is true if there was a key
// to share.
func (l Lender) Lend(ctx context.Context, image Image) (revoke func(), granted bool, err error) {
	var lent []cleanup.Entry
	revoke = func() { l.revoke(image, lent) }
	keys, err := l.keysOf(ctx, image)
	if err != nil {
		return revoke, false, err
	}
	share := func(entry cleanup.Entry, call func() error) error {
		// The image exists, so a share that AWS does not return is revoked.
		l.Ledger.Add(entry)
		lent = append(lent, entry)
		err := l.Retry.Do(ctx, func(err error, pause time.Duration) {
			l.Say("%s: %s; retrying in %s", image.Region, err, pause.Round(time.Second))
		}, call)
		if awsclient.IsBadRequest(err) { // AWS has refused it
			l.Ledger.Strike(entry)
			lent = lent[:len(lent)-1]
		}
		return err
	}
	for _, key := range keys {
		entry := l.grant(image, key)
		err := share(entry, func() error {
			// The name makes the request idempotent.
			out, err := l.Keys(image.Region).CreateGrant(context.WithoutCancel(ctx), &kms.CreateGrantInput{
				KeyId: &key, GranteePrincipal: &l.Role, Name: &entry.Name, Operations: toCopy,
			})
			if err == nil {
				entry.ID, entry.Seen = aws.ToString(out.GrantId), true
				l.Ledger.Add(entry)
				lent[len(lent)-1] = entry
			}
			return err
		})
		if err != nil {
			return revoke, true, fmt.Errorf("granting the use of %s: %w", key, err)
		}
	}
	api := l.EC2(image.Region)
	for _, snapshot := range image.Snapshots {
		err := share(cleanup.Entry{Kind: cleanup.SnapshotShare, Region: image.Region, ID: snapshot, For: l.Account, Seen: true}, func() error {
			_, err := api.ModifySnapshotAttribute(context.WithoutCancel(ctx), &ec2.ModifySnapshotAttributeInput{
				SnapshotId: &snapshot, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission,
				OperationType: ec2types.OperationTypeAdd, UserIds: []string{l.Account},
			})
			return err
		})
		if err != nil {
			return revoke, len(keys) > 0, fmt.Errorf("sharing %s: %w", snapshot, err)
		}
	}
	err = share(cleanup.Entry{Kind: cleanup.ImageShare, Region: image.Region, ID: image.ID, For: l.Account, Seen: true}, func() error {
		_, err := api.ModifyImageAttribute(context.WithoutCancel(ctx), &ec2.ModifyImageAttributeInput{
			ImageId:          &image.ID,
			LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: &l.Account}}},
		})
		return err
	})
	return revoke, len(keys) > 0, err
}

// Recall revokes what an earlier run of the build may have shared.
func (l Lender) Recall(ctx context.Context, image Image) error {
	lent, err := l.Note(ctx, image)
	if err != nil {
		return err
	}
	l.revoke(image, lent)
	return nil
}

// Note adds to the ledger what an earlier run of the build may have shared. It finds the
// keys first, so that it notes everything or nothing.
func (l Lender) Note(ctx context.Context, image Image) (lent []cleanup.Entry, err error) {
	keys, err := l.keysOf(ctx, image)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		lent = append(lent, l.grant(image, key))
	}
	for _, snapshot := range image.Snapshots {
		lent = append(lent, cleanup.Entry{Kind: cleanup.SnapshotShare, Region: image.Region, ID: snapshot, For: l.Account})
	}
	lent = append(lent, cleanup.Entry{Kind: cleanup.ImageShare, Region: image.Region, ID: image.ID, For: l.Account})
	for i := range lent {
		lent[i].Seen = true // it is not about to appear
		l.Ledger.Add(lent[i])
	}
	return lent, nil
}

// grant returns the entry of a grant whose id is not known yet.
func (l Lender) grant(image Image, key string) cleanup.Entry {
	return cleanup.Entry{Kind: cleanup.Grant, Region: image.Region, Name: "ethminer-" + l.BuildID + "-" + image.ID, For: l.Role, Of: key}
}

// keysOf returns the keys of an encrypted image's snapshots.
func (l Lender) keysOf(ctx context.Context, image Image) (keys []string, err error) {
	if !image.Encrypted {
		return nil, nil
	}
	if l.Keys == nil {
		return nil, errors.New("the image is encrypted, and the endpoint serves only EC2, not KMS")
	}
	out, err := l.EC2(image.Region).DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: image.Snapshots})
	if err != nil {
		return nil, fmt.Errorf("finding the keys of its snapshots: %w", err)
	}
	for _, snapshot := range out.Snapshots {
		if key := aws.ToString(snapshot.KmsKeyId); key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// revoke revokes the shares of an image, also after a cancel. Those that it cannot revoke
// stay in the ledger.
func (l Lender) revoke(image Image, lent []cleanup.Entry) {
	if len(lent) == 0 {
		return
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	var failed []string
	for _, entry := range slices.Backward(lent) {
		if err := l.Remover(image.Region).Remove(ctx, entry); err != nil {
			failed = append(failed, fmt.Sprintf("revoking %s in %s: %s", entry.Title(), entry.Region, awsclient.Plain(err)))
		}
	}
	if len(failed) > 0 {
		l.Say("%s", strings.Join(failed, "\n"))
		return
	}
	l.Say("%s: %s is no longer shared with account %s", image.Region, image.ID, l.Account)
}

// mostGranted is the number of copies of a granted image that may fail because the key
// cannot be used: a grant takes effect within five minutes
// (https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-eventual-consistency).
const mostGranted = 8

// triesOf returns how often to make a copy that ends like this.
func triesOf(ended *EndedError, granted bool) int {
	if granted && strings.Contains(strings.ToLower(ended.Reason), "key") {
		return mostGranted
	}
	return maxCopies
}
