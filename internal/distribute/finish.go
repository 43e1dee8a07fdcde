// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// FinishAPI holds the EC2 requests for finishing an image.
type FinishAPI interface {
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	ModifyImageAttribute(context.Context, *ec2.ModifyImageAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyImageAttributeOutput, error)
	ModifySnapshotAttribute(context.Context, *ec2.ModifySnapshotAttributeInput, ...func(*ec2.Options)) (*ec2.ModifySnapshotAttributeOutput, error)
	EnableImageDeprecation(context.Context, *ec2.EnableImageDeprecationInput, ...func(*ec2.Options)) (*ec2.EnableImageDeprecationOutput, error)
	EnableImageDeregistrationProtection(context.Context, *ec2.EnableImageDeregistrationProtectionInput, ...func(*ec2.Options)) (*ec2.EnableImageDeregistrationProtectionOutput, error)
}

// Finish holds the settings of an available image in each region. A zero field is
// not applied, and makes no request.
type Finish struct {
	Users, Groups     []string // accounts, and "all"
	OrgARNs, OUARNs   []string
	ProductCodes      []string
	SnapshotUsers     []string
	SnapshotGroups    []string
	IMDSv2            bool // instances of the image require IMDSv2
	DeprecateAt       time.Time
	Protect, Cooldown bool // deregistration protection
	ShareLater        bool // Apply does not share
	// Retry is the backoff of requests that AWS may accept later; Say reports it.
	Retry Backoff
	Say   func(format string, args ...any)
}

// Patient makes a request in a region, and retries until AWS accepts it.
func (f Finish) Patient(ctx context.Context, image Image, call func() error) error {
	return f.Retry.Do(ctx, func(err error, pause time.Duration) {
		f.Say("%s: %s; retrying in %s", image.Region, err, pause.Round(time.Second))
	}, call)
}

// Apply sets the attributes of one image, except its protection. It is idempotent.
func (f Finish) Apply(ctx context.Context, client FinishAPI, image Image) error {
	if f.ShareLater {
		return f.each(ctx, client, image, f.describe, f.deprecate)
	}
	return f.each(ctx, client, image, f.describe, f.share, f.shareSnapshots, f.deprecate)
}

// Share shares one image and its snapshots. It is idempotent.
func (f Finish) Share(ctx context.Context, client FinishAPI, image Image) error {
	return f.each(ctx, client, image, f.share, f.shareSnapshots)
}

func (f Finish) each(ctx context.Context, client FinishAPI, image Image, steps ...func(context.Context, FinishAPI, Image) error) error {
	for _, step := range steps {
		if err := f.Patient(ctx, image, func() error { return step(ctx, client, image) }); err != nil {
			return fmt.Errorf("%s in %s: %w", image.ID, image.Region, err)
		}
	}
	return nil
}

// Tag tags an image and its snapshots in one request.
func (f Finish) Tag(ctx context.Context, client FinishAPI, image Image, tags []ec2types.Tag) error {
	err := f.Patient(ctx, image, func() error {
		_, err := client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: append([]string{image.ID}, image.Snapshots...), Tags: tags})
		return err
	})
	if err != nil {
		return fmt.Errorf("%s in %s: tagging: %w", image.ID, image.Region, err)
	}
	return nil
}

// describe and share make one request per attribute, as EC2 requires.
func (f Finish) describe(ctx context.Context, client FinishAPI, image Image) error {
	if f.IMDSv2 {
		_, err := client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			ImageId:     aws.String(image.ID),
			ImdsSupport: &ec2types.AttributeValue{Value: aws.String(string(ec2types.ImdsSupportValuesV20))},
		})
		if err != nil {
			return fmt.Errorf("setting imds_support: %w", err)
		}
	}
	if len(f.ProductCodes) > 0 {
		_, err := client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			ImageId:      aws.String(image.ID),
			ProductCodes: f.ProductCodes,
		})
		if err != nil {
			return fmt.Errorf("setting ami_product_codes: %w", err)
		}
	}
	return nil
}

func (f Finish) share(ctx context.Context, client FinishAPI, image Image) error {
	var add []ec2types.LaunchPermission
	for _, user := range f.Users {
		add = append(add, ec2types.LaunchPermission{UserId: aws.String(user)})
	}
	for _, group := range f.Groups {
		add = append(add, ec2types.LaunchPermission{Group: ec2types.PermissionGroup(group)})
	}
	for _, arn := range f.OrgARNs {
		add = append(add, ec2types.LaunchPermission{OrganizationArn: aws.String(arn)})
	}
	for _, arn := range f.OUARNs {
		add = append(add, ec2types.LaunchPermission{OrganizationalUnitArn: aws.String(arn)})
	}
	if len(add) == 0 {
		return nil
	}
	_, err := client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
		ImageId:          aws.String(image.ID),
		LaunchPermission: &ec2types.LaunchPermissionModifications{Add: add},
	})
	if err != nil {
		return fmt.Errorf("sharing the image: %w", err)
	}
	return nil
}

func (f Finish) shareSnapshots(ctx context.Context, client FinishAPI, image Image) error {
	if len(f.SnapshotUsers)+len(f.SnapshotGroups) == 0 {
		return nil
	}
	for _, snapshot := range image.Snapshots {
		_, err := client.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId:    aws.String(snapshot),
			Attribute:     ec2types.SnapshotAttributeNameCreateVolumePermission,
			OperationType: ec2types.OperationTypeAdd,
			UserIds:       f.SnapshotUsers,
			GroupNames:    f.SnapshotGroups,
		})
		if err != nil {
			return fmt.Errorf("sharing %s: %w", snapshot, err)
		}
	}
	return nil
}

func (f Finish) deprecate(ctx context.Context, client FinishAPI, image Image) error {
	if f.DeprecateAt.IsZero() {
		return nil
	}
	_, err := client.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{
		ImageId: aws.String(image.ID), DeprecateAt: aws.Time(f.DeprecateAt),
	})
	if err != nil {
		return fmt.Errorf("setting deprecate_at: %w", err)
	}
	return nil
}

// Guard sets the deregistration protection of one image. It must follow Apply in
// all regions, as a protected image could not be removed.
func (f Finish) Guard(ctx context.Context, client FinishAPI, image Image) error {
	if !f.Protect {
		return nil
	}
	err := f.Patient(ctx, image, func() error {
		_, err := client.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{
			ImageId: aws.String(image.ID), WithCooldown: aws.Bool(f.Cooldown),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("%s in %s: setting deregistration_protection: %w", image.ID, image.Region, err)
	}
	return nil
}
