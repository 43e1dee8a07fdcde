// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"fmt"
	"net/http"
)

// Fetch returns an object by its URL, as CloudFormation reads a TemplateURL:
// https://BUCKET.s3.REGION.amazonaws.com/KEY, or with the bucket in the path.
func (s *Service) Fetch(address string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL: %w", address, err)
	}
	q, err := Read(r)
	if err != nil {
		return nil, err
	}
	response, err := s.Call(s.regionOf(q.Bucket), q)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// regionOf returns the region of a bucket, or a region with S3 for a missing one.
func (s *Service) regionOf(bucket string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucket]; b != nil {
		return b.region
	}
	return "us-east-1"
}
