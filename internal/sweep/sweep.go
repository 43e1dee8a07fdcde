// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package sweep finds and removes what builds have left behind that died
// before they could clean up.
//
// A resource is a dead build's if it has a build's id, the time by which the
// build must have ended has passed, and, for images and snapshots, the build
// has not marked them as good (internal/tags). Nothing else is ever touched.
package sweep

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Resource is something that a build has made.
type Resource struct {
	Kind    ledger.Kind `json:"kind"`
	ID      string      `json:"id"`
	Region  string      `json:"region"` // Global for IAM's
	BuildID string      `json:"build_id"`
	// State is EC2's word, empty for kinds that have none.
	State string `json:"state,omitempty"`
	// Detail is what it costs by: a type, or a size.
	Detail string `json:"detail,omitempty"`
	// Since is when it was made, as far as AWS says.
	Since *time.Time `json:"since,omitempty"`
	// Expires is when its build must have ended; nil where it does not say.
	Expires *time.Time `json:"expires,omitempty"`
	// Mark is the value of tags.State.
	Mark string `json:"mark,omitempty"`
}

// Dead says that the build which made the resource has ended without it.
func (r Resource) Dead(now time.Time) bool {
	return r.ours() && r.Expires != nil && !now.Before(*r.Expires)
}

// ours says that a build made it, and that it is not what the build was for.
func (r Resource) ours() bool {
	if r.Kind == ledger.Image || r.Kind == ledger.Snapshot {
		return r.BuildID != "" && r.Mark == tags.Building
	}
	return r.BuildID != ""
}

// Choice is what to sweep.
type Choice struct {
	// BuildID is the one build whose resources to remove, expired or not.
	BuildID string
	// OlderThan is how long ago resources must have expired; with a BuildID it
	// does not count.
	OlderThan time.Duration
}

// takes says whether the resource is to be removed.
func (c Choice) takes(r Resource, now time.Time) bool {
	if c.BuildID != "" {
		return r.ours() && r.BuildID == c.BuildID
	}
	return r.Dead(now.Add(-c.OlderThan))
}

// API is what a sweep needs of a region.
type API interface {
	ec2.DescribeInstancesAPIClient
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	ec2.DescribeVolumesAPIClient
	ec2.DescribeSecurityGroupsAPIClient
	DescribeKeyPairs(context.Context, *ec2.DescribeKeyPairsInput, ...func(*ec2.Options)) (*ec2.DescribeKeyPairsOutput, error)
	TerminateInstances(context.Context, *ec2.TerminateInstancesInput, ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error)
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
	DeleteVolume(context.Context, *ec2.DeleteVolumeInput, ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error)
	DeleteSecurityGroup(context.Context, *ec2.DeleteSecurityGroupInput, ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error)
	DeleteKeyPair(context.Context, *ec2.DeleteKeyPairInput, ...func(*ec2.Options)) (*ec2.DeleteKeyPairOutput, error)
}

// Command is the AWS CLI's that removes the resource.
func (r Resource) Command() string {
	if r.Region == Global {
		return iamCommand(r)
	}
	return ledger.Entry{Kind: r.Kind, Region: r.Region, ID: r.ID}.Command()
}

// labelled reads the tags that a build writes.
func (r Resource) labelled(tag func(key string) string) Resource {
	r.BuildID, r.Mark = tag(tags.BuildID), tag(tags.State)
	if at, err := tags.Time(tag(tags.Expires)); err == nil {
		r.Expires = aws.Time(at)
	}
	return r
}
