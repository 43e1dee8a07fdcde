// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"bytes"
	"context"
)

// Cache-Control of versions, which never change (a year, the maximum,
// https://www.rfc-editor.org/rfc/rfc2616#section-14.21), and of `latest`.
const (
	cacheForEver = "public, max-age=31536000, immutable"
	cacheNever   = "no-cache"
)

// upload writes the template under its version in every region. It does not
// overwrite an existing object; verify compares it.
func (r *run) upload(ctx context.Context) error {
	return r.everywhere(func(_ int, at Place) error {
		return r.Again(ctx, "the upload to "+at.Region, func() error {
			_, err := r.put(ctx, at, object{
				key: at.Key, contentType: contentType(r.plan.Body), cache: cacheForEver, body: r.plan.Body, public: true,
				meta: map[string]string{metaVersion: r.plan.Version},
			})
			if isTaken(err) {
				return nil // by an earlier run, or by another build
			}
			return err
		})
	})
}

func contentType(body []byte) string {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return "application/json"
	}
	return "application/yaml"
}
