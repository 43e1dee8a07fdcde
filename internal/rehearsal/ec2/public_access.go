// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Block public access is a setting of an account in a region. It is off at first, as in
// accounts that have published images before.

const unblocked = "unblocked"

// blocking contains the states of a region; empty means unblocked.
type blocking struct{ images, snapshots string }

func orUnblocked(state string) string {
	if state == "" {
		return unblocked
	}
	return state
}

type imageBlocking struct {
	State string `xml:"imageBlockPublicAccessState"`
}

type snapshotBlocking struct {
	State string `xml:"state"`
}

func getImageBlocking(c *call) (any, error) {
	return imageBlocking{orUnblocked(c.r.blocking.images)}, nil
}

func enableImageBlocking(c *call) (any, error) {
	state := c.Params.Get("ImageBlockPublicAccessState")
	if state != "block-new-sharing" {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter imageBlockPublicAccessState is invalid.", state)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.blocking.images = state
	return imageBlocking{state}, nil
}

func disableImageBlocking(c *call) (any, error) {
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.blocking.images = unblocked
	return imageBlocking{unblocked}, nil
}

func getSnapshotBlocking(c *call) (any, error) {
	return snapshotBlocking{orUnblocked(c.r.blocking.snapshots)}, nil
}

func enableSnapshotBlocking(c *call) (any, error) {
	state := c.Params.Get("State")
	if state != "block-new-sharing" && state != "block-all-sharing" {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter state is invalid.", state)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.blocking.snapshots = state
	return snapshotBlocking{state}, nil
}

func disableSnapshotBlocking(c *call) (any, error) {
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.blocking.snapshots = unblocked
	return snapshotBlocking{unblocked}, nil
}

// publishable rejects a change that makes a resource public while the region blocks it.
func (c *call) publishable(before, after api.Permissions, state, what string) error {
	if orUnblocked(state) == unblocked || before.Public() || !after.Public() {
		return nil
	}
	return query.Errorf("OperationNotPermitted", "You can't publicly share this %s because block public access is enabled for this Region. To publicly share it, first disable block public access.", what)
}
