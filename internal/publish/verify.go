// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
)

// verify reads the template back in every region and compares it, and checks that
// the stack set can use it. No `latest` has changed yet.
func (r *run) verify(ctx context.Context) error {
	r.uploaded = make([]identity, len(r.plan.Places))
	err := r.everywhere(func(i int, at Place) error {
		o, err := r.get(ctx, at, r.plan.S3.Owner, at.Key)
		switch {
		case err != nil:
			return err
		case o == nil:
			return fmt.Errorf("%s does not exist in %s after the upload; another program may have deleted it", at.Key, at.Bucket)
		case !bytes.Equal(o.body, r.plan.Body):
			return fmt.Errorf("%s in %s has other content (SHA-256 %x); a version never changes: set another version for this template", at.Key, at.Bucket, sha256.Sum256(o.body))
		}
		r.uploaded[i] = o.identity
		return nil
	})
	if err != nil {
		return err
	}
	r.Sayf("SHA-256 %s verified in every region (%d)", r.plan.SHA256, len(r.plan.Places))
	return r.checkStackSet(ctx)
}
