// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

type option = func(*ec2.Options)

// API holds the EC2 requests for removing resources.
type API interface {
	ImageAPI
	ec2.DescribeInstancesAPIClient
	ec2.DescribeVolumesAPIClient
	ec2.DescribeSecurityGroupsAPIClient
	DescribeKeyPairs(context.Context, *ec2.DescribeKeyPairsInput, ...option) (*ec2.DescribeKeyPairsOutput, error)
	TerminateInstances(context.Context, *ec2.TerminateInstancesInput, ...option) (*ec2.TerminateInstancesOutput, error)
	DeleteVolume(context.Context, *ec2.DeleteVolumeInput, ...option) (*ec2.DeleteVolumeOutput, error)
	DeleteSecurityGroup(context.Context, *ec2.DeleteSecurityGroupInput, ...option) (*ec2.DeleteSecurityGroupOutput, error)
	DeleteKeyPair(context.Context, *ec2.DeleteKeyPairInput, ...option) (*ec2.DeleteKeyPairOutput, error)
	ec2.DescribeLaunchTemplatesAPIClient
	DeleteLaunchTemplate(context.Context, *ec2.DeleteLaunchTemplateInput, ...option) (*ec2.DeleteLaunchTemplateOutput, error)
}

// call returns the request that removes a resource. accepted reports whether AWS
// has found it.
func (r Remover) call(e Entry) func(context.Context) (accepted bool, err error) {
	c := r.Client
	return func(ctx context.Context) (bool, error) {
		var err error
		switch e.Kind {
		case Instance:
			_, err = c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{e.ID}})
		case Image:
			err = deregister(ctx, c, e.ID)
		case Snapshot:
			_, err = c.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &e.ID})
		case Volume:
			_, err = c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &e.ID})
		case SecurityGroup:
			in := &ec2.DeleteSecurityGroupInput{GroupId: &e.ID}
			if e.ID == "" { // EC2 accepts a name only in the default VPC
				id, lookErr := GroupNamed(ctx, c, e.Name)
				if lookErr != nil || id == "" {
					return false, lookErr
				}
				in.GroupId = &id
			}
			_, err = c.DeleteSecurityGroup(ctx, in)
		case KeyPair:
			in := &ec2.DeleteKeyPairInput{KeyPairId: &e.ID}
			if e.Name != "" { // some compatible endpoints support only the name
				in = &ec2.DeleteKeyPairInput{KeyName: &e.Name}
			}
			// The request also succeeds if EC2 does not find the key.
			if found, lookErr := r.look(ctx, e); found == absent && !awsclient.IsUnauthorized(lookErr) {
				return false, lookErr
			}
			_, err = c.DeleteKeyPair(ctx, in)
		case LaunchTemplate:
			in := &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &e.ID}
			if e.ID == "" {
				in = &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: &e.Name}
			}
			_, err = c.DeleteLaunchTemplate(ctx, in)
		case ImageShare, SnapshotShare, Grant:
			found, failed := r.revoke(ctx, e)
			return found && failed == nil, failed
		case InstanceProfile:
			err = deleteProfile(ctx, r.IAM, e.Label())
		case Role:
			err = deleteRole(ctx, r.IAM, e.Label())
		default:
			return false, fmt.Errorf("%s: unknown kind", e.Kind)
		}
		return err == nil, err
	}
}

// presence is the state in which AWS returns a resource.
type presence int

const (
	absent presence = iota // not found
	there
	ending // being removed
	ended  // returned, but removed
)

// look looks up a resource.
func (r Remover) look(ctx context.Context, e Entry) (presence, error) {
	c := r.Client
	var n int
	var err error
	switch e.Kind {
	case Instance:
		out, failed := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{e.ID}})
		if err = failed; err != nil {
			break
		}
		for _, reservation := range out.Reservations {
			for _, i := range reservation.Instances {
				switch {
				case i.State == nil:
				case i.State.Name == ec2types.InstanceStateNameTerminated:
					return ended, nil
				case i.State.Name == ec2types.InstanceStateNameShuttingDown:
					return ending, nil
				default:
					n++
				}
			}
		}
	case Image:
		out, failed := c.DescribeImages(ctx, &ec2.DescribeImagesInput{
			ImageIds: []string{e.ID}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true),
		})
		if err = failed; err != nil {
			break
		}
		for _, i := range out.Images {
			if i.State != ec2types.ImageStateDeregistered {
				n++
			}
		}
	case Snapshot:
		out, failed := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{e.ID}})
		if err = failed; err == nil {
			n = len(out.Snapshots)
		}
	case Volume:
		out, failed := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{e.ID}})
		if err = failed; err == nil {
			n = len(out.Volumes)
		}
	case SecurityGroup:
		if e.ID == "" {
			id, failed := GroupNamed(ctx, c, e.Name)
			if err = failed; id != "" {
				n = 1
			}
			break
		}
		out, failed := c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{e.ID}})
		if err = failed; err == nil {
			n = len(out.SecurityGroups)
		}
	case KeyPair:
		by := ec2types.Filter{Name: aws.String("key-pair-id"), Values: []string{e.ID}}
		if e.ID == "" {
			by = ec2types.Filter{Name: aws.String("key-name"), Values: []string{e.Name}}
		}
		out, failed := c.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: []ec2types.Filter{by}})
		if err = failed; err != nil {
			break
		}
		for _, k := range out.KeyPairs { // a compatible endpoint may not support the filter
			if e.ID != "" && aws.ToString(k.KeyPairId) == e.ID || e.ID == "" && aws.ToString(k.KeyName) == e.Name {
				n++
			}
		}
	case LaunchTemplate:
		in := &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{e.ID}}
		if e.ID == "" {
			in = &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{e.Name}}
		}
		out, failed := c.DescribeLaunchTemplates(ctx, in)
		if err = failed; err == nil {
			n = len(out.LaunchTemplates)
		}
	case ImageShare, SnapshotShare, Grant:
		shared, failed := r.shared(ctx, e)
		if err = failed; shared {
			n = 1
		}
	case InstanceProfile, Role:
		if _, err = IAMTags(ctx, r.IAM, e); err == nil {
			n = 1
		}
	}
	switch {
	case awsclient.IsNotFound(err) || awsclient.Code(err) == "InvalidAMIID.Unavailable", err == nil && n == 0:
		return absent, nil
	case err != nil:
		return absent, err
	}
	return there, nil
}

// Present reports whether a resource exists and is not being removed.
func (r Remover) Present(ctx context.Context, e Entry) (bool, error) {
	seen, err := r.look(ctx, e)
	return seen == there, err
}

// GroupNamed returns the id of the security group with a name, or empty. The names
// of a build are unique.
func GroupNamed(ctx context.Context, c ec2.DescribeSecurityGroupsAPIClient, name string) (string, error) {
	pages := ec2.NewDescribeSecurityGroupsPaginator(c, &ec2.DescribeSecurityGroupsInput{
		Filters: []ec2types.Filter{{Name: aws.String("group-name"), Values: []string{name}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		if len(page.SecurityGroups) > 0 {
			return aws.ToString(page.SecurityGroups[0].GroupId), nil
		}
	}
	return "", nil
}

// TemplateNamed returns the id of the launch template with a name, or empty.
func TemplateNamed(ctx context.Context, c ec2.DescribeLaunchTemplatesAPIClient, name string) (string, error) {
	out, err := c.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{name}})
	if awsclient.IsNoTemplate(err) || err == nil && len(out.LaunchTemplates) == 0 {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.LaunchTemplates[0].LaunchTemplateId), nil
}
