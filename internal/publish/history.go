// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// copiesRead is how many earlier versions are read to find the set's previous
// template among them.
const copiesRead = 10

// PreviousTemplate returns the URL of the template that the set had, which CloudFormation
// returned as text; empty if there is none to restore. If a killed run has already given
// the set the new template, text is empty, and the previous version is used, until the
// publication is complete.
func (r *run) PreviousTemplate(ctx context.Context, text string) (string, error) {
	at, spec := r.plan.Places[0], r.plan.Spec
	if text == "" {
		sealed, err := r.get(ctx, at, spec.S3.Owner, sealKey(spec.S3.Prefix, spec.Name, r.number))
		if err != nil || sealed != nil || r.record.Previous == "" {
			return "", err
		}
		return ObjectURL(at.Region, at.Bucket, spec.key(r.record.Previous))
	}
	version, err := r.versionOf(ctx, text)
	if err != nil {
		return "", err
	}
	if version == "" {
		if version, err = r.keep(ctx, []byte(text)); err != nil {
			return "", err
		}
	}
	return ObjectURL(at.Region, at.Bucket, spec.key(version))
}

// versionOf returns the newest published version whose template CloudFormation may
// have returned as text; empty if none is found. Our copy is exact, but the text is
// not: see stackset.Alike.
func (r *run) versionOf(ctx context.Context, text string) (string, error) {
	at, spec := r.plan.Places[0], r.plan.Spec
	candidates := []string{r.record.Previous} // a rollback removes it from the stack
	for _, e := range r.record.Stack {
		candidates = append(candidates, e.Version)
	}
	candidates = slices.DeleteFunc(candidates, func(v string) bool { return v == "" || v == r.plan.Version })
	for _, version := range candidates[:min(len(candidates), copiesRead)] {
		o, err := r.get(ctx, at, spec.S3.Owner, spec.key(version))
		if err != nil {
			return "", err
		}
		if o != nil && stackset.Alike(text, string(o.body)) {
			return version, nil
		}
	}
	return "", nil
}

// keep uploads a template that this program has not published, under its SHA-256,
// and returns that.
func (r *run) keep(ctx context.Context, body []byte) (version string, err error) {
	at, sum := r.plan.Places[0], sha256.Sum256(body)
	version = hex.EncodeToString(sum[:])
	r.Sayf("stack set %s: this program did not publish its previous template; restoring it as CloudFormation returns it, with ? for characters outside ASCII", r.plan.StackSet.Name)
	return version, r.Again(ctx, "the previous template in "+at.Region, func() error {
		if _, err := r.put(ctx, at, object{key: r.plan.key(version), contentType: contentType(body), body: body, public: true}); !isTaken(err) {
			return err
		}
		return nil
	})
}

// LastTemplate returns the SHA-256 of the template that the last complete publication
// gave the stack set; empty if that is unknown.
func (r *run) LastTemplate(ctx context.Context) (string, error) {
	last, set := r.last, r.plan.StackSet
	if s := last.Spec.StackSet; s == nil || s.Name != set.Name || s.Region != set.Region {
		return "", nil
	}
	sealed, err := r.get(ctx, r.plan.Places[0], r.plan.S3.Owner, sealKey(r.plan.S3.Prefix, r.plan.Name, last.Number))
	if err != nil || sealed == nil {
		return "", err
	}
	return last.SHA256, nil
}
