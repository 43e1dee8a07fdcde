// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// ErrSuperseded is returned if another build has published in the meantime.
var ErrSuperseded = errors.New("another build has published in the meantime")

// flip sets `latest` to the plan's version, in the first region and then in all
// others at once. A region that fails is retried while the others continue.
func (r *run) flip(ctx context.Context) error {
	lead := r.plan.Places[0]
	err := r.Again(ctx, "latest in "+lead.Region, func() error { return r.flipFirst(ctx) })
	switch {
	case mayPass(err):
		return fmt.Errorf("%s: %w; latest may have changed there, and is unchanged in every other region: run this again", lead.Region, err)
	case err != nil:
		return fmt.Errorf("%s: %w; latest is unchanged in every region", lead.Region, err)
	}
	r.Sayf("latest is %s in %s, the first region", r.plan.Version, lead.Region)
	err = r.everywhere(func(i int, at Place) error {
		if i == 0 {
			return nil
		}
		return r.Again(ctx, "latest in "+at.Region, func() error { return r.flipOne(ctx, i, at) })
	})
	switch {
	case errors.Is(err, ErrSuperseded):
		return err
	case err != nil:
		return fmt.Errorf("latest is %s in every other region; run this again to resume, or roll back all regions:\n%w", r.plan.Version, err)
	}
	return nil
}

// flipFirst sets `latest` in the first region. It reads it again before the write:
// the upload and a wait for the stack set can take hours, and the condition of the
// write compares only the ETag, which does not show a change and its rollback.
func (r *run) flipFirst(ctx context.Context) error {
	if r.current(r.seen[0]) {
		return nil
	}
	now, err := r.latest(ctx, r.plan.Places[0], r.plan.S3.Owner)
	switch {
	case err != nil:
		return err
	case r.current(now), now.unchanged(r.seen[0]):
		r.seen[0] = now
	case r.equal(now):
		if err := r.look(ctx); err != nil { // takes the number of the other build
			return err
		}
	default:
		return ErrSuperseded
	}
	return r.flipOne(ctx, 0, r.plan.Places[0])
}

// flips is how often flipOne tries to write a `latest` that others keep changing.
const flips = 8

func (r *run) flipOne(ctx context.Context, i int, at Place) error {
	for range flips {
		if r.current(r.seen[i]) {
			return nil
		}
		done, err := r.put(ctx, at, object{
			key: at.Latest, contentType: contentType(r.plan.Body), cache: cacheNever, body: r.plan.Body, public: true, ifMatch: r.seen[i].ETag,
			meta: map[string]string{
				metaVersion: r.plan.Version, metaNumber: strconv.Itoa(r.number), metaAction: r.record.Action, metaPrevious: r.record.Previous,
			},
		})
		if err == nil {
			r.seen[i] = Latest{
				Found: true, ETag: done.etag, VersionID: done.version, SHA256: r.plan.SHA256, Body: r.plan.Body,
				Version: r.plan.Version, Number: r.number, Action: r.record.Action, Previous: r.record.Previous,
			}
			return nil
		}
		if !isTaken(err) {
			return err
		}
		// Read this region before the first one: see the package comment.
		before := r.seen[i]
		if r.seen[i], err = r.latest(ctx, at, r.plan.S3.Owner); err != nil {
			return err
		}
		won := r.seen[i].unchanged(before) || r.current(r.seen[i])
		if i > 0 {
			lead, err := r.latest(ctx, r.plan.Places[0], r.plan.S3.Owner)
			if err != nil {
				return err
			}
			won = r.current(lead)
		} else if !won && r.equal(r.seen[0]) {
			if err := r.look(ctx); err != nil { // takes the number of the other build
				return err
			}
			continue
		}
		if !won {
			return ErrSuperseded
		}
	}
	return fmt.Errorf("latest keeps changing: %w", ErrSuperseded)
}

// equal reports whether a `latest` has the version and the content of the plan,
// also if another build has published it.
func (r *run) equal(l Latest) bool {
	return l.Version == r.plan.Version && l.SHA256 == r.plan.SHA256
}

// current reports whether a `latest` is the plan's.
func (r *run) current(l Latest) bool {
	return r.equal(l) && l.Number == r.number
}
