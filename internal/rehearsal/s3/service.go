// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package s3 simulates the parts of Amazon S3 that publishing files uses: buckets of a
// region, conditional writes, checksums, versions, tags, ACLs and their restrictions.
// Its state is in memory. It supports neither multipart uploads nor bucket policies.
package s3

import (
	"net/http"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service is one account's S3 in all regions.
type Service struct {
	Clock     pace.Clock
	AccountID string
	Open      func(region string) bool // whether the account can use a region

	mu      sync.Mutex
	buckets map[string]*bucket
	count   int // number of versions
}

// Response is a response. With an error, only its header is used.
type Response struct {
	Status int // 0 for 200
	Header http.Header
	Body   []byte
}

// call is the request being served. It holds the service's lock.
type call struct {
	*Request
	s      *Service
	region string
	b      *bucket // nil for actions without a bucket
	now    time.Time
	out    Response
}

// actions lists the supported actions by their API names. An action writes its response
// to call.out.
var actions = map[string]func(*call) error{
	"ListBuckets":                   (*call).listBuckets,
	"CreateBucket":                  (*call).createBucket,
	"HeadBucket":                    (*call).headBucket,
	"DeleteBucket":                  (*call).deleteBucket,
	"GetBucketLocation":             (*call).getLocation,
	"GetBucketVersioning":           (*call).getVersioning,
	"PutBucketVersioning":           (*call).putVersioning,
	"GetPublicAccessBlock":          (*call).getPublicAccessBlock,
	"PutPublicAccessBlock":          (*call).putPublicAccessBlock,
	"DeletePublicAccessBlock":       (*call).deletePublicAccessBlock,
	"GetBucketOwnershipControls":    (*call).getOwnership,
	"PutBucketOwnershipControls":    (*call).putOwnership,
	"DeleteBucketOwnershipControls": (*call).deleteOwnership,
	"GetBucketTagging":              (*call).getBucketTags,
	"PutBucketTagging":              (*call).putBucketTags,
	"DeleteBucketTagging":           (*call).deleteBucketTags,
	"GetBucketAcl":                  (*call).getBucketACL,
	"ListObjects":                   (*call).listObjects,
	"ListObjectsV2":                 (*call).listObjects,
	"ListObjectVersions":            (*call).listVersions,
	"PutObject":                     (*call).putObject,
	"CopyObject":                    (*call).copyObject,
	"GetObject":                     (*call).getObject,
	"HeadObject":                    (*call).getObject,
	"DeleteObject":                  (*call).deleteObject,
	"DeleteObjects":                 (*call).deleteObjects,
	"GetObjectTagging":              (*call).getTags,
	"PutObjectTagging":              (*call).putTags,
	"DeleteObjectTagging":           (*call).deleteTags,
	"GetObjectAcl":                  (*call).getACL,
	"PutObjectAcl":                  (*call).putACL,
}

func fail(status int, code, message string) *query.Error {
	return &query.Error{Code: code, Message: message, Status: status}
}

// Call serves a request that was signed for a region. The response is never nil; the
// error is always a *query.Error.
func (s *Service) Call(region string, q *Request) (*Response, error) {
	c := &call{Request: q, s: s, region: region, now: s.Clock.Now().UTC(), out: Response{Header: http.Header{}}}
	return &c.out, c.serve()
}

func (c *call) serve() error {
	run := actions[c.Action]
	switch {
	case run == nil:
		return fail(501, "NotImplemented", "The rehearsal does not support this action of S3.")
	case c.s.Open != nil && !c.s.Open(c.region):
		return fail(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	}
	if err := c.decode(); err != nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.Action == "ListBuckets" || c.Action == "CreateBucket" {
		return run(c)
	}
	c.b = c.s.buckets[c.Bucket]
	switch owner := c.header.Get("x-amz-expected-bucket-owner"); {
	case c.b == nil:
		return fail(404, "NoSuchBucket", "The specified bucket does not exist")
	case c.b.region != c.region && c.Action != "GetBucketLocation":
		c.out.Header.Set("x-amz-bucket-region", c.b.region)
		return fail(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
	case owner != "" && owner != c.s.AccountID:
		return fail(403, "AccessDenied", "Access Denied")
	}
	return run(c)
}
