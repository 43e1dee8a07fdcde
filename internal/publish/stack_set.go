// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// stackSet returns a stack set, with the retries and the messages of this run.
func (r *run) stackSet(c *stackset.Config) *stackset.Set {
	return stackset.New(c, r.Clients.CloudFormation(c.Region), r)
}

// checkStackSet checks the roll-out before any visible change.
func (r *run) checkStackSet(ctx context.Context) error {
	c := r.plan.StackSet
	if c == nil {
		return nil
	}
	url := r.plan.Places[0].URL
	for _, at := range r.plan.Places {
		if at.Region == c.Region {
			url = at.URL
		}
	}
	r.set = r.stackSet(c)
	return r.set.Check(ctx, url)
}

// rollOut updates the stack set that checkStackSet has checked.
func (r *run) rollOut(ctx context.Context) error {
	if r.set == nil {
		return nil
	}
	return r.set.RollOut(ctx, stackset.Rollout{
		Body: r.plan.Body, Version: r.plan.Version, Parameters: len(r.plan.Parameters) > 0, Overridden: r.record.Overridden, History: r,
	})
}
