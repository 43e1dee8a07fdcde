// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Metadata of `latest`.
const (
	metaVersion  = "ethminer-version"
	metaNumber   = "ethminer-number"
	metaAction   = "ethminer-action"
	metaPrevious = "ethminer-previous"
)

// Latest describes `latest` in a bucket. It is zero if there is no such object.
type Latest struct {
	Found            bool
	ETag             string
	VersionID        string // empty if the bucket has no versioning
	SHA256           string // of its content, in hex
	Version          string // empty if it was not written by this program
	Number           int    // of its publication
	Action, Previous string
	Body             []byte
}

// unchanged reports whether `latest` is still the object of an earlier read. The
// ETag alone is not enough: S3 derives it from the content, which a rollback restores.
func (l Latest) unchanged(before Latest) bool {
	return l.ETag == before.ETag && l.VersionID == before.VersionID && l.Number == before.Number
}

// suffix returns the version ID for display.
func (l Latest) suffix() string {
	if l.VersionID == "" {
		return ""
	}
	return " (version ID " + l.VersionID + ")"
}

// latest reads `latest`.
func (p *Publisher) latest(ctx context.Context, at Place, account string) (Latest, error) {
	o, err := p.get(ctx, at, account, at.Latest)
	if err != nil || o == nil {
		return Latest{}, err
	}
	sum := sha256.Sum256(o.body)
	l := Latest{Found: true, ETag: o.etag, VersionID: o.version, SHA256: hex.EncodeToString(sum[:]), Body: o.body,
		Version: o.meta[metaVersion], Action: o.meta[metaAction], Previous: o.meta[metaPrevious]}
	l.Number, _ = strconv.Atoi(o.meta[metaNumber])
	return l, nil
}

// look reads every `latest` and the first region's record, and sets the number of
// this publication. It writes nothing, and finds buckets that are missing, in
// another region or not accessible.
func (r *run) look(ctx context.Context) error {
	r.seen = make([]Latest, len(r.plan.Places))
	err := r.everywhere(func(i int, at Place) (err error) {
		r.seen[i], err = r.latest(ctx, at, r.plan.S3.Owner)
		return err
	})
	if err != nil {
		return err
	}
	before, found, err := r.recordOf(ctx, r.plan.Places[0], r.plan.S3.Owner, r.plan.S3.Prefix, r.plan.Name, r.seen[0])
	if err != nil {
		return err
	}
	r.last = before
	r.number = 0
	for _, l := range r.seen {
		r.number = max(r.number, l.Number)
	}
	lead := r.seen[0]
	same := r.current(lead)
	if same && (!found || before.Spec.equal(r.plan.Spec)) {
		r.Sayf("%s is already latest, as publication %d", r.plan.Version, r.number)
		former, overridden := before.former(r.plan.Spec), before.overridden(r.plan.Spec)
		r.record, r.record.Spec, r.record.Former, r.record.Overridden = before, r.plan.Spec, former, overridden
	} else {
		r.number++
		r.record = before.next(r.plan, r.number, lead.Version)
	}
	if lead.Number > 0 {
		return nil
	}
	// The first region is new; the records are in the others.
	for i, l := range r.seen {
		if l.Number == 0 || l.Number < r.number-1 {
			continue
		}
		other, _, err := r.recordOf(ctx, r.plan.Places[i], r.plan.S3.Owner, r.plan.S3.Prefix, r.plan.Name, l)
		r.record.Former = other.former(r.plan.Spec)
		return err
	}
	return nil
}
