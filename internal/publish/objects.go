// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// object is an object to write.
type object struct {
	key, contentType string
	cache            string // Cache-Control
	body             []byte
	meta             map[string]string
	ifMatch          string // the ETag that the object must have; empty: it must not exist
	public           bool   // has the template's ACL
}

// identity identifies the content that S3 has stored under a key.
type identity struct {
	etag    string
	version string // empty if the bucket has no versioning
}

// put writes an object if its condition holds. S3 verifies the content by the
// SHA-256 in the request.
func (r *run) put(ctx context.Context, at Place, o object) (identity, error) {
	sum := sha256.Sum256(o.body)
	in := &s3.PutObjectInput{
		Bucket: &at.Bucket, Key: &o.key, Body: bytes.NewReader(o.body), ContentType: &o.contentType, Metadata: o.meta,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}
	if o.cache != "" {
		in.CacheControl = &o.cache
	}
	if o.ifMatch != "" {
		in.IfMatch = &o.ifMatch
	} else {
		in.IfNoneMatch = aws.String("*")
	}
	if o.public && r.plan.S3.ACL != "" {
		in.ACL = types.ObjectCannedACL(r.plan.S3.ACL)
	}
	if at.KMSKeyID != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &at.KMSKeyID
	}
	if len(r.plan.S3.Tags) > 0 {
		in.Tagging = aws.String(tagging(r.plan.S3.Tags))
	}
	in.ExpectedBucketOwner = owner(r.plan.S3.Owner)
	out, err := r.Clients.S3(at.Region, at.Bucket).PutObject(ctx, in)
	if err != nil {
		return identity{}, r.explain(err, at, "s3:PutObject")
	}
	return identity{aws.ToString(out.ETag), versionID(out.VersionId)}, nil
}

// versionID returns the id of an object's version. S3 returns "null" for an object
// that was written without versioning.
func versionID(id *string) string {
	if aws.ToString(id) == "null" {
		return ""
	}
	return aws.ToString(id)
}

func tagging(tags map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, url.QueryEscape(k)+"="+url.QueryEscape(tags[k]))
	}
	return strings.Join(pairs, "&")
}

func owner(account string) *string {
	if account == "" {
		return nil
	}
	return &account
}

// fetched is an object read from a bucket.
type fetched struct {
	identity
	body []byte
	meta map[string]string
}

// reads is how often an object is read while its response is cut. The SDK retries only
// until the response has begun.
const reads = 4

// get reads an object; nil if it does not exist.
func (p *Publisher) get(ctx context.Context, at Place, account, key string) (*fetched, error) {
	for n := 1; ; n++ {
		object, err := p.read(ctx, at, account, key)
		var cut *cutError
		if !errors.As(err, &cut) || n == reads || poll.Pause(ctx, p.Clock, time.Duration(n)*time.Second) != nil {
			return object, err
		}
	}
}

// cutError is returned if the body of a response ends early or is damaged.
type cutError struct{ error }

func (e *cutError) Unwrap() error { return e.error }

func (p *Publisher) read(ctx context.Context, at Place, account, key string) (*fetched, error) {
	out, err := p.Clients.S3(at.Region, at.Bucket).GetObject(ctx, &s3.GetObjectInput{
		Bucket: &at.Bucket, Key: &key, ExpectedBucketOwner: owner(account), ChecksumMode: types.ChecksumModeEnabled,
	})
	if awsclient.Code(err) == "NoSuchKey" {
		return nil, nil
	}
	if err != nil {
		return nil, (&run{Publisher: p, plan: &Plan{}}).explain(err, at, "s3:GetObject and s3:ListBucket")
	}
	defer func() { _ = out.Body.Close() }()
	// No object of ours is larger than a template.
	body, err := io.ReadAll(io.LimitReader(out.Body, 2*MaxTemplate))
	if err != nil {
		return nil, &cutError{fmt.Errorf("reading %s from %s: %w", key, at.Bucket, err)}
	}
	return &fetched{identity{aws.ToString(out.ETag), versionID(out.VersionId)}, body, out.Metadata}, nil
}

// isTaken reports whether a condition was not met because another writer was first.
func isTaken(err error) bool {
	switch awsclient.Code(err) {
	case "PreconditionFailed", "NoSuchKey": // NoSuchKey: If-Match, and the object was deleted
		return true
	}
	return false
}

// isConflict reports whether another write of the same key was in progress. S3 has
// not evaluated the condition: the same request must be sent again
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
func isConflict(err error) bool {
	switch awsclient.Code(err) {
	case "ConditionalRequestConflict", "OperationAborted":
		return true
	}
	return false
}
