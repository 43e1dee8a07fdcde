// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// Shares let another account copy an image of the build. The removal of a share is its
// revocation.
const (
	ImageShare    Kind = "launch-permission"        // ID is the image, For the account
	SnapshotShare Kind = "create-volume-permission" // ID is the snapshot, For the account
	Grant         Kind = "grant"                    // ID is known once KMS has returned it; Of is the key, For the principal
)

// shares are removed before the images and snapshots that they are for.
var shares = []Kind{ImageShare, SnapshotShare, Grant}

// ShareAPI holds the EC2 requests for revoking permissions.
type ShareAPI interface {
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...option) (*ec2.DescribeImageAttributeOutput, error)
	DescribeSnapshotAttribute(context.Context, *ec2.DescribeSnapshotAttributeInput, ...option) (*ec2.DescribeSnapshotAttributeOutput, error)
	ModifyImageAttribute(context.Context, *ec2.ModifyImageAttributeInput, ...option) (*ec2.ModifyImageAttributeOutput, error)
	ModifySnapshotAttribute(context.Context, *ec2.ModifySnapshotAttributeInput, ...option) (*ec2.ModifySnapshotAttributeOutput, error)
}

// GrantAPI holds the KMS requests for revoking grants.
type GrantAPI interface {
	kms.ListGrantsAPIClient
	RevokeGrant(context.Context, *kms.RevokeGrantInput, ...func(*kms.Options)) (*kms.RevokeGrantOutput, error)
}

// revoke requests the revocation of a share. found is false for a grant that KMS does not
// list yet.
func (r Remover) revoke(ctx context.Context, e Entry) (found bool, err error) {
	switch e.Kind {
	case ImageShare:
		_, err := r.Shares.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			ImageId:          &e.ID,
			LaunchPermission: &ec2types.LaunchPermissionModifications{Remove: []ec2types.LaunchPermission{{UserId: &e.For}}},
		})
		return true, err
	case SnapshotShare:
		_, err := r.Shares.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId: &e.ID, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission,
			OperationType: ec2types.OperationTypeRemove, UserIds: []string{e.For},
		})
		return true, err
	}
	id := e.ID
	if id == "" { // the response that contains it was lost
		if id, err = r.findGrant(ctx, e); err != nil || id == "" {
			return false, err
		}
	}
	_, err = r.Grants.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &e.Of, GrantId: &id})
	if awsclient.Code(err) == "NotFoundException" {
		err = nil
	}
	return true, err
}

// shared reports whether AWS still returns a share.
func (r Remover) shared(ctx context.Context, e Entry) (bool, error) {
	switch e.Kind {
	case ImageShare:
		out, err := r.Shares.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
			ImageId: &e.ID, Attribute: ec2types.ImageAttributeNameLaunchPermission,
		})
		if err != nil {
			return false, err
		}
		for _, permission := range out.LaunchPermissions {
			if aws.ToString(permission.UserId) == e.For {
				return true, nil
			}
		}
		return false, nil
	case SnapshotShare:
		out, err := r.Shares.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{
			SnapshotId: &e.ID, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission,
		})
		if err != nil {
			return false, err
		}
		for _, permission := range out.CreateVolumePermissions {
			if aws.ToString(permission.UserId) == e.For {
				return true, nil
			}
		}
		return false, nil
	}
	id, err := r.findGrant(ctx, e)
	return id != "", err
}

// findGrant returns the id of a grant that KMS lists, found by its id or its name; empty
// if there is none.
func (r Remover) findGrant(ctx context.Context, e Entry) (string, error) {
	pages := kms.NewListGrantsPaginator(r.Grants, &kms.ListGrantsInput{KeyId: &e.Of})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, g := range page.Grants {
			if named(g, e) {
				return aws.ToString(g.GrantId), nil
			}
		}
	}
	return "", nil
}

func named(g kmstypes.GrantListEntry, e Entry) bool {
	return e.ID != "" && aws.ToString(g.GrantId) == e.ID || e.ID == "" && aws.ToString(g.Name) == e.Name
}

// revocation returns the AWS CLI command that revokes a share.
func (e Entry) revocation() string {
	region := shellquote.Word(e.Region)
	switch e.Kind {
	case ImageShare:
		return fmt.Sprintf("aws ec2 modify-image-attribute --image-id %s --launch-permission %s --region %s",
			shellquote.Word(e.ID), shellquote.Word("Remove=[{UserId="+e.For+"}]"), region)
	case SnapshotShare:
		return fmt.Sprintf("aws ec2 modify-snapshot-attribute --snapshot-id %s --attribute createVolumePermission --operation-type remove --user-ids %s --region %s",
			shellquote.Word(e.ID), shellquote.Word(e.For), region)
	}
	id := shellquote.Word(e.ID)
	if e.ID == "" {
		id = fmt.Sprintf("\"$(aws kms list-grants --key-id %s --query %s --output text --region %s)\"",
			shellquote.Word(e.Of), shellquote.Word("Grants[?Name=='"+e.Name+"'].GrantId"), region)
	}
	return fmt.Sprintf("aws kms revoke-grant --key-id %s --grant-id %s --region %s", shellquote.Word(e.Of), id, region)
}

// isShare reports whether the entry is a share.
func (e Entry) isShare() bool {
	return e.Kind == ImageShare || e.Kind == SnapshotShare || e.Kind == Grant
}

// Place returns the region of a resource, with its account if that is not the build's.
func (e Entry) Place() string {
	if e.Account != "" {
		return e.Region + " of account " + e.Account
	}
	return e.Region
}

// Title returns the kind and the label of a resource, and for a share whom it is for.
func (e Entry) Title() string {
	title := fmt.Sprintf("%s %s", e.Kind, cmp.Or(e.ID, e.Name))
	if e.isShare() {
		title += " for " + e.For
	}
	return title
}
