// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Record is the record of a publication in a bucket; it never changes.
type Record struct {
	Number   int    `json:"number"`
	Action   string `json:"action"`
	Version  string `json:"version"`
	SHA256   string `json:"sha256"`
	Previous string `json:"previous,omitempty"` // the version that was latest before
	// Stack holds the versions that a rollback can choose, this one first.
	Stack []Entry `json:"stack"`
	Spec  Spec    `json:"spec"`
	// Former holds what earlier publications published and this one does not.
	Former []Item `json:"former,omitempty"`
	// Overridden has the names of the parameters that this or an earlier publication
	// overrides in single stacks. Other overrides are not ours.
	Overridden []string `json:"overridden,omitempty"`
	// Objects are the objects of this publication: the template and latest of each
	// region.
	Objects []Object `json:"objects,omitempty"`
}

// Object identifies the content of an object.
type Object struct {
	Region    string `json:"region"`
	Key       string `json:"key"`
	ETag      string `json:"etag"`
	VersionID string `json:"version_id,omitempty"` // if the bucket has versioning
}

// Entry is a version of the stack.
type Entry struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// mostKept limits the stack if keep_versions does not.
const mostKept = 100

func (s Spec) equal(other Spec) bool {
	a, _ := json.Marshal(s) // plain data
	b, _ := json.Marshal(other)
	return string(a) == string(b)
}

// next returns the next record: a publication puts its version on top of the
// stack, and a rollback removes the versions above its own.
func (before Record) next(p *Plan, number int, previous string) Record {
	return Record{
		Number: number, Action: p.Action, Version: p.Version, SHA256: p.SHA256, Previous: previous, Spec: p.Spec,
		Stack: stacked(before.Stack, p.Action, Entry{p.Version, p.SHA256}), Former: before.former(p.Spec),
		Overridden: before.overridden(p.Spec),
	}
}

// overridden returns the parameters that this record or the given options override.
func (before Record) overridden(now Spec) []string {
	return unique(slices.Concat(before.Overridden, before.Spec.StackSet.Overridden(), now.StackSet.Overridden()))
}

func stacked(stack []Entry, action string, top Entry) []Entry {
	at := slices.IndexFunc(stack, func(e Entry) bool { return e.Version == top.Version })
	switch {
	case at >= 0 && action == RollingBack:
		stack = stack[at+1:]
	case at >= 0:
		stack = slices.Concat(stack[:at], stack[at+1:])
	}
	stack = append([]Entry{top}, stack...)
	return stack[:min(len(stack), mostKept)]
}

func recordKey(prefix, name string, number int) string {
	return fmt.Sprintf("%s%s%s/%06d.json", prefix, historyName, name, number)
}

func sealKey(prefix, name string, number int) string {
	return fmt.Sprintf("%s%s%s/%06d.done", prefix, historyName, name, number)
}

// recordOf reads the record of `latest`; false if it does not exist. If a
// publication was killed before it wrote its record, the record is derived from
// the previous one.
func (p *Publisher) recordOf(ctx context.Context, at Place, account, prefix, name string, l Latest) (Record, bool, error) {
	if l.Number == 0 {
		return Record{}, false, nil
	}
	for number := l.Number; number > max(0, l.Number-2); number-- {
		o, err := p.get(ctx, at, account, recordKey(prefix, name, number))
		if err != nil {
			return Record{}, false, err
		}
		if o == nil {
			continue
		}
		var r Record
		if err := json.Unmarshal(o.body, &r); err != nil {
			return Record{}, false, fmt.Errorf("reading %s in %s: %w", recordKey(prefix, name, number), at.Bucket, err)
		}
		if number == l.Number {
			return r, true, nil
		}
		r.Stack = stacked(r.Stack, l.Action, Entry{l.Version, l.SHA256})
		r.Number, r.Action, r.Version, r.SHA256, r.Previous = l.Number, l.Action, l.Version, l.SHA256, l.Previous
		return r, false, nil
	}
	first := Record{Number: l.Number, Action: l.Action, Version: l.Version, SHA256: l.SHA256, Previous: l.Previous}
	first.Stack = []Entry{{l.Version, l.SHA256}}
	return first, false, nil
}

// write writes the record into each bucket, once.
func (r *run) write(ctx context.Context) error {
	r.record.Objects = nil
	for i, at := range r.plan.Places {
		r.record.Objects = append(r.record.Objects,
			Object{at.Region, at.Key, r.uploaded[i].etag, r.uploaded[i].version},
			Object{at.Region, at.Latest, r.seen[i].ETag, r.seen[i].VersionID})
	}
	body, err := json.MarshalIndent(r.record, "", "  ")
	if err != nil {
		return err
	}
	key := recordKey(r.plan.S3.Prefix, r.plan.Name, r.number)
	return r.everywhere(func(_ int, at Place) error {
		return r.Again(ctx, "the record in "+at.Region, func() error {
			if _, err := r.put(ctx, at, object{key: key, contentType: "application/json", body: body}); !isTaken(err) {
				return err
			}
			return nil // written before
		})
	})
}

// seal marks the publication as complete.
func (r *run) seal(ctx context.Context) error {
	lead := r.plan.Places[0]
	return r.Again(ctx, "the seal in "+lead.Region, func() error {
		if _, err := r.put(ctx, lead, object{key: sealKey(r.plan.S3.Prefix, r.plan.Name, r.number), contentType: "text/plain"}); !isTaken(err) {
			return err
		}
		return nil
	})
}

// prune deletes the versions that drop out of the record. It runs before the
// record is written, so that a second run after a crash finds them again.
func (r *run) prune(ctx context.Context) error {
	keep := r.plan.S3.KeepVersions
	if keep == 0 || len(r.record.Stack) <= keep {
		return nil
	}
	var old []types.ObjectIdentifier
	for _, e := range r.record.Stack[keep:] {
		old = append(old, types.ObjectIdentifier{Key: aws.String(r.plan.key(e.Version))})
	}
	r.record.Stack = r.record.Stack[:keep]
	return r.everywhere(func(_ int, at Place) error {
		var out *s3.DeleteObjectsOutput
		err := r.Again(ctx, "removing old versions in "+at.Region, func() (err error) {
			out, err = r.Clients.S3(at.Region, at.Bucket).DeleteObjects(ctx, &s3.DeleteObjectsInput{
				Bucket: &at.Bucket, Delete: &types.Delete{Objects: old, Quiet: aws.Bool(true)}, ExpectedBucketOwner: owner(r.plan.S3.Owner),
			})
			return err
		})
		if err == nil && len(out.Errors) > 0 {
			e := out.Errors[0]
			return fmt.Errorf("removing %s from %s: %s: %s", aws.ToString(e.Key), at.Bucket, aws.ToString(e.Code), aws.ToString(e.Message))
		}
		return r.explain(err, at, "s3:DeleteObject")
	})
}
