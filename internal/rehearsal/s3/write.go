// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// version is one version of an object.
type version struct {
	id       string // "null" for a write without versioning
	marker   bool   // delete marker
	body     []byte
	etag     string
	modified time.Time
	header   http.Header // stored headers, returned with the body
	checksum [2]string   // algorithm and value
	tags     []tag
	acl      string
}

// storedHeaderNames lists the request headers that are stored with the object, besides
// x-amz-meta-*.
var storedHeaderNames = []string{
	"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires",
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled",
	"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Server-Side-Encryption-Customer-Key-Md5",
	"X-Amz-Storage-Class", "X-Amz-Website-Redirect-Location",
}

const (
	metaPrefix = "X-Amz-Meta-"
	encryption = "X-Amz-Server-Side-Encryption"
)

func storedHeaders(header http.Header) http.Header {
	out := http.Header{}
	for _, name := range storedHeaderNames {
		if v := header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	for name, values := range header {
		if strings.HasPrefix(name, metaPrefix) {
			out[name] = values
		}
	}
	// aws-chunked encodes the request, not the object.
	var codings []string
	for coding := range strings.SplitSeq(out.Get("Content-Encoding"), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			codings = append(codings, coding)
		}
	}
	out.Del("Content-Encoding")
	if len(codings) > 0 {
		out.Set("Content-Encoding", strings.Join(codings, ","))
	}
	if out.Get("Content-Type") == "" {
		out.Set("Content-Type", "binary/octet-stream")
	}
	if out.Get(encryption) == "" {
		out.Set(encryption, "AES256") // S3 encrypts every object by default
	}
	return out
}

// current returns the newest version of a key, which may be a delete marker.
func (b *bucket) current(key string) *version {
	if list := b.keys[key]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// checkConditions applies If-Match and If-None-Match to a write
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
func (c *call) checkConditions() error {
	now := c.b.current(c.Key)
	there := now != nil && !now.marker
	match, none := c.header.Get("If-Match"), c.header.Get("If-None-Match")
	switch {
	case none != "" && none != "*" || none != "" && match != "":
		return fail(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
	case match != "" && !there:
		return fail(404, "NoSuchKey", "The specified key does not exist.")
	case match != "" && match != "*" && strings.Trim(match, `"`) != strings.Trim(now.etag, `"`), none == "*" && there:
		return fail(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	return nil
}

// write makes v the current version of the key.
func (c *call) write(v *version) {
	v.modified, v.id = c.now, "null"
	list := c.b.keys[c.Key]
	if c.b.versioning == "Enabled" {
		c.s.count++
		v.id = fmt.Sprintf("%032x", md5.Sum(fmt.Appendf(nil, "%s/%s %d", c.Bucket, c.Key, c.s.count)))
	} else {
		list = without(list, "null")
	}
	c.b.keys[c.Key] = append(list, v)
	if c.b.versioning != "" {
		c.out.Header.Set("x-amz-version-id", v.id)
	}
}

// without returns the versions except that with an id.
func without(list []*version, id string) []*version {
	var out []*version
	for _, v := range list {
		if v.id != id {
			out = append(out, v)
		}
	}
	return out
}

func (c *call) putObject() error {
	if len(c.Key) > 1024 {
		return fail(400, "KeyTooLongError", "Your key is too long")
	}
	tags, err := tagsOf(c.header)
	if err != nil {
		return err
	}
	if err := c.checkACL(c.header.Get("x-amz-acl")); err != nil {
		return err
	}
	if err := c.checkConditions(); err != nil {
		return err
	}
	sum, a := md5.Sum(c.body), c.checksum()
	v := &version{
		body: c.body, etag: `"` + hex.EncodeToString(sum[:]) + `"`, header: storedHeaders(c.header), tags: tags, acl: c.header.Get("x-amz-acl"),
		checksum: [2]string{a.name, a.of(c.body)},
	}
	c.write(v)
	c.out.Header.Set("ETag", v.etag)
	v.setEncryption(c.out.Header)
	v.setChecksum(c.out.Header)
	return nil
}

func (v *version) setChecksum(h http.Header) {
	h.Set("x-amz-checksum-"+v.checksum[0], v.checksum[1])
	h.Set("x-amz-checksum-type", "FULL_OBJECT")
}

func (v *version) setEncryption(h http.Header) { copyEncryption(h, v.header) }

func copyEncryption(to, from http.Header) {
	for name, values := range from {
		if strings.HasPrefix(name, encryption) {
			to[name] = values
		}
	}
}

// copyObject copies an object, which may be in a bucket of another region.
func (c *call) copyObject() error {
	path, err := url.PathUnescape(c.header.Get("x-amz-copy-source"))
	if err != nil {
		return fail(400, "InvalidArgument", "Invalid copy source encoding.")
	}
	path, id, _ := strings.Cut(path, "?versionId=")
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || key == "" {
		return fail(400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	b := c.s.buckets[bucket]
	if b == nil {
		return fail(404, "NoSuchBucket", "The specified bucket does not exist")
	}
	from, err := b.find(key, id)
	if err != nil {
		return err
	}
	if match := c.header.Get("x-amz-copy-source-if-match"); match != "" && strings.Trim(match, `"`) != strings.Trim(from.etag, `"`) {
		return fail(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	replace := c.header.Get("x-amz-metadata-directive") == "REPLACE"
	if b == c.b && key == c.Key && id == "" && !replace && c.header.Get(encryption) == "" && c.header.Get("x-amz-storage-class") == "" {
		return fail(400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if err := c.checkACL(c.header.Get("x-amz-acl")); err != nil {
		return err
	}
	if err := c.checkConditions(); err != nil {
		return err
	}
	v := &version{body: from.body, etag: from.etag, header: from.header.Clone(), checksum: from.checksum, tags: from.tags, acl: c.header.Get("x-amz-acl")}
	if replace {
		v.header = storedHeaders(c.header)
	} else if c.header.Get(encryption) != "" {
		copyEncryption(v.header, storedHeaders(c.header))
	}
	if c.header.Get("x-amz-tagging-directive") == "REPLACE" {
		if v.tags, err = tagsOf(c.header); err != nil {
			return err
		}
	}
	c.write(v)
	v.setEncryption(c.out.Header)
	return c.writeXML("CopyObjectResult", struct{ ETag, LastModified string }{v.etag, v.modified.Format(timeFormat)})
}
