// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// find returns a version of an object: the current one if id is empty.
func (b *bucket) find(key, id string) (*version, error) {
	v := b.current(key)
	if id != "" {
		v = nil
		for _, have := range b.keys[key] {
			if have.id == id {
				v = have
			}
		}
		switch {
		case v == nil:
			return nil, fail(404, "NoSuchVersion", "The specified version does not exist.")
		case v.marker:
			return v, fail(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
		}
	}
	if v == nil || v.marker {
		return v, fail(404, "NoSuchKey", "The specified key does not exist.")
	}
	return v, nil
}

// version returns the requested version.
func (c *call) version() (*version, error) {
	v, err := c.b.find(c.Key, c.query.Get("versionId"))
	if v != nil && c.b.versioning != "" {
		c.out.Header.Set("x-amz-version-id", v.id)
	}
	if v != nil && v.marker {
		c.out.Header.Set("x-amz-delete-marker", "true")
	}
	return v, err
}

// getObject serves GetObject and HeadObject.
func (c *call) getObject() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	quoted := strings.Trim(v.etag, `"`)
	if match := c.header.Get("If-Match"); match != "" && match != "*" && strings.Trim(match, `"`) != quoted {
		return fail(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	h := c.out.Header
	h.Set("ETag", v.etag)
	h.Set("Last-Modified", v.modified.Format(http.TimeFormat))
	if none := c.header.Get("If-None-Match"); none != "" && (none == "*" || strings.Trim(none, `"`) == quoted) {
		return fail(304, "NotModified", "Not Modified")
	}
	for name, values := range v.header {
		h[name] = values
	}
	h.Set("Accept-Ranges", "bytes")
	for header, parameter := range map[string]string{
		"Content-Type": "response-content-type", "Cache-Control": "response-cache-control", "Content-Disposition": "response-content-disposition",
	} {
		if value := c.query.Get(parameter); value != "" {
			h.Set(header, value)
		}
	}
	if len(v.tags) > 0 {
		h.Set("x-amz-tagging-count", strconv.Itoa(len(v.tags)))
	}
	c.out.Body = v.body
	if asked := c.header.Get("Range"); asked != "" {
		from, to, ok := byteRange(asked, len(v.body))
		if !ok {
			return fail(416, "InvalidRange", "The requested range is not satisfiable")
		}
		c.out.Status, c.out.Body = 206, v.body[from:to]
		h.Set("Content-Range", "bytes "+strconv.Itoa(from)+"-"+strconv.Itoa(to-1)+"/"+strconv.Itoa(len(v.body)))
	} else if strings.EqualFold(c.header.Get("x-amz-checksum-mode"), "ENABLED") {
		v.setChecksum(h)
	}
	h.Set("Content-Length", strconv.Itoa(len(c.out.Body)))
	return nil
}

// byteRange parses bytes=A-B, bytes=A- or bytes=-N; to is one past the last byte.
func byteRange(text string, size int) (from, to int, ok bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	if !ok {
		return 0, 0, false
	}
	if first == "" {
		n, err := strconv.Atoi(last)
		return max(0, size-n), size, err == nil && n > 0 && size > 0
	}
	from, err := strconv.Atoi(first)
	to = size
	if last != "" && err == nil {
		to, err = strconv.Atoi(last)
		to = min(to+1, size)
	}
	return from, to, err == nil && from >= 0 && from < to
}

// remove deletes a version. Without an id it deletes the object, or writes a delete
// marker if the bucket has versions. It returns the id of the version, and "true" if it
// is a delete marker.
func (c *call) remove(key, id string) (removed, marker string) {
	list := c.b.keys[key]
	if id != "" {
		for _, v := range list {
			if v.id == id && v.marker {
				marker = "true"
			}
		}
		if c.b.keys[key] = without(list, id); len(c.b.keys[key]) == 0 {
			delete(c.b.keys, key)
		}
		return id, marker
	}
	if c.b.versioning == "" {
		delete(c.b.keys, key)
		return "", ""
	}
	sub := &call{Request: &Request{Bucket: c.Bucket, Key: key}, s: c.s, b: c.b, now: c.now, out: Response{Header: http.Header{}}}
	v := &version{marker: true}
	sub.write(v)
	return v.id, "true"
}

func (c *call) deleteObject() error {
	if match := c.header.Get("If-Match"); match != "" {
		if err := c.checkConditions(); err != nil {
			return err
		}
	}
	id, marker := c.remove(c.Key, c.query.Get("versionId"))
	if id != "" {
		c.out.Header.Set("x-amz-version-id", id)
	}
	if marker != "" {
		c.out.Header.Set("x-amz-delete-marker", marker)
	}
	c.out.Status = 204
	return nil
}

type deleted struct {
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          string `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

func (c *call) deleteObjects() error {
	signed := c.header.Get("Content-MD5") != "" || slices.ContainsFunc(algorithms, func(a algorithm) bool { return c.header.Get("x-amz-checksum-"+a.name) != "" })
	if !signed {
		return fail(400, "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var in struct {
		Quiet   bool
		Objects []struct {
			Key       string
			VersionID string `xml:"VersionId"`
		} `xml:"Object"`
	}
	if err := c.bodyXML(&in); err != nil {
		return err
	}
	if len(in.Objects) == 0 || len(in.Objects) > maxKeys {
		return fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	var out struct{ Deleted []deleted }
	for _, o := range in.Objects {
		id, marker := c.remove(o.Key, o.VersionID)
		if in.Quiet {
			continue
		}
		d := deleted{Key: o.Key, VersionID: o.VersionID, DeleteMarker: marker}
		if marker != "" {
			d.DeleteMarkerVersionID = id
		}
		out.Deleted = append(out.Deleted, d)
	}
	return c.writeXML("DeleteResult", out)
}

func encodeToken(key string) string { return base64.URLEncoding.EncodeToString([]byte(key)) }

func decodeToken(token string) (string, error) {
	key, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return "", fail(400, "InvalidArgument", "The continuation token provided is incorrect")
	}
	return string(key), nil
}
