// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Resource is a resource created by a build.
type Resource struct {
	Kind    Kind   `json:"kind"`
	ID      string `json:"id"`
	Region  string `json:"region"` // Global for IAM
	BuildID string `json:"build_id"`
	// State is EC2's state; empty for kinds without states.
	State string `json:"state,omitempty"`
	// Detail determines the cost: a type, or a size.
	Detail string `json:"detail,omitempty"`
	// Since is the creation time, if AWS returns it.
	Since *time.Time `json:"since,omitempty"`
	// Expires is the time by which its build has ended; nil if not tagged.
	Expires *time.Time `json:"expires,omitempty"`
	// Mark is the value of tags.State.
	Mark string `json:"mark,omitempty"`
}

// Dead reports whether the resource is the leftover of a dead build.
func (r Resource) Dead(now time.Time) bool {
	return r.ours() && r.Expires != nil && !now.Before(*r.Expires)
}

// ours reports whether a build created the resource, and it is not a result of the
// build.
func (r Resource) ours() bool {
	if r.Kind == Image || r.Kind == Snapshot {
		return r.BuildID != "" && r.Mark == tags.Building
	}
	return r.BuildID != ""
}

// Choice selects the resources to sweep.
type Choice struct {
	// BuildID selects the resources of one build, expired or not.
	BuildID string
	// OlderThan is how long ago resources must have expired; ignored with a
	// BuildID.
	OlderThan time.Duration
}

// takes reports whether to remove the resource.
func (c Choice) takes(r Resource, now time.Time) bool {
	if c.BuildID != "" {
		return r.ours() && r.BuildID == c.BuildID
	}
	return r.Dead(now.Add(-c.OlderThan))
}

// Command returns the AWS CLI command that removes the resource.
func (r Resource) Command() string {
	return r.entry().Command()
}

func (r Resource) entry() Entry {
	entry := Entry{Kind: r.Kind, Region: r.Region, ID: r.ID, Seen: true}
	if r.Kind == KeyPair {
		entry.Name = r.Detail
	}
	return entry
}

// labelled parses the tags that a build sets.
func (r Resource) labelled(tag func(key string) string) Resource {
	r.BuildID, r.Mark = tag(tags.BuildID), tag(tags.State)
	if at, err := tags.Time(tag(tags.Expires)); err == nil {
		r.Expires = aws.Time(at)
	}
	return r
}
