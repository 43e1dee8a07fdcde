// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
)

// verify reads the template back in every region and compares it, and looks
// whether the stack set can take it. Nothing that is `latest` has changed yet.
func (r *run) verify(ctx context.Context) error {
	err := r.everywhere(func(_ int, at Place) error {
		o, err := r.get(ctx, at, r.plan.S3.Owner, at.Key)
		switch {
		case err != nil:
			return err
		case o == nil:
			return fmt.Errorf("%s is not in %s after it was written; another program removes it", at.Key, at.Bucket)
		case !bytes.Equal(o.body, r.plan.Body):
			return fmt.Errorf("%s in %s has other content (SHA-256 %x); a version never changes: publish this template as another one", at.Key, at.Bucket, sha256.Sum256(o.body))
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.sayf("SHA-256 %s read back in every region, %d of them", r.plan.SHA256, len(r.plan.Places))
	return r.checkStackSet(ctx)
}
