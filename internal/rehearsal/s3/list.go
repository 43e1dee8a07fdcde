// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxKeys is the maximum page size of a list.
const maxKeys = 1000

type listed struct {
	Key, LastModified, ETag string
	ChecksumAlgorithm       string `xml:",omitempty"`
	ChecksumType            string `xml:",omitempty"`
	Size                    int
	StorageClass            string
	Owner                   *owner `xml:",omitempty"`
}

type commonPrefix struct{ Prefix string }

// listing is the response to ListObjects and ListObjectsV2.
type listing struct {
	Name, Prefix          string
	Marker                *string
	NextMarker            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	KeyCount              *int
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listed
	CommonPrefixes        []commonPrefix
}

// page contains the parameters of a list request.
type page struct {
	prefix, delimiter string
	limit             int
	encode            func(string) string
	encoding          string
}

func (c *call) page() (page, error) {
	p := page{prefix: c.query.Get("prefix"), delimiter: c.query.Get("delimiter"), limit: maxKeys, encode: func(s string) string { return s }}
	if text := c.query.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, fail(400, "InvalidArgument", "Provided max-keys not an integer or within integer range")
		}
		p.limit = min(n, maxKeys)
	}
	if p.encoding = c.query.Get("encoding-type"); p.encoding == "url" {
		p.encode = func(s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%2F", "/")
		}
	}
	return p, nil
}

// group returns the common prefix that represents a key, or an empty string.
func (p page) group(key string) string {
	if p.delimiter == "" {
		return ""
	}
	before, _, found := strings.Cut(key[len(p.prefix):], p.delimiter)
	if !found {
		return ""
	}
	return p.prefix + before + p.delimiter
}

// listObjects serves ListObjectsV2 and ListObjects.
func (c *call) listObjects() error {
	p, err := c.page()
	if err != nil {
		return err
	}
	out := listing{Name: c.Bucket, Prefix: p.encode(p.prefix), MaxKeys: p.limit, Delimiter: p.encode(p.delimiter), EncodingType: p.encoding}
	second := c.Action == "ListObjectsV2"
	after := c.query.Get("marker")
	if second {
		after = c.query.Get("start-after")
		out.StartAfter, out.ContinuationToken = p.encode(after), c.query.Get("continuation-token")
		if out.ContinuationToken != "" {
			if after, err = decodeToken(out.ContinuationToken); err != nil {
				return err
			}
		}
	} else {
		marker := p.encode(after)
		out.Marker = &marker
	}
	shown, last, group := 0, "", ""
	for _, key := range slices.Sorted(maps.Keys(c.b.keys)) {
		v := c.b.current(key)
		if v.marker || key <= after || !strings.HasPrefix(key, p.prefix) {
			continue
		}
		g := p.group(key)
		if g != "" && (g == group || g == after) {
			continue // already listed, on this page or the previous one
		}
		if shown == p.limit {
			out.IsTruncated = p.limit > 0
			break
		}
		shown++
		if g != "" {
			group, last = g, g
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{p.encode(g)})
			continue
		}
		last = key
		o := listed{
			Key: p.encode(key), LastModified: v.modified.Format(timeFormat), ETag: v.etag, Size: len(v.body), StorageClass: v.class(),
			ChecksumAlgorithm: strings.ToUpper(v.checksum[0]), ChecksumType: "FULL_OBJECT",
		}
		if !second || c.query.Get("fetch-owner") == "true" {
			by := c.owner()
			o.Owner = &by
		}
		out.Contents = append(out.Contents, o)
	}
	switch {
	case second:
		out.KeyCount = &shown
		if out.IsTruncated {
			out.NextContinuationToken = encodeToken(last)
		}
	case out.IsTruncated && p.delimiter != "":
		out.NextMarker = p.encode(last)
	}
	return c.writeXML("ListBucketResult", out)
}

func (v *version) class() string {
	if class := v.header.Get("X-Amz-Storage-Class"); class != "" {
		return class
	}
	return "STANDARD"
}

type listedVersion struct {
	ETag         string `xml:",omitempty"`
	Size         *int
	StorageClass string `xml:",omitempty"`
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified string
	Owner        owner
}

func (c *call) listVersions() error {
	p, err := c.page()
	if err != nil {
		return err
	}
	out := struct {
		Name, Prefix, KeyMarker string
		VersionIDMarker         string `xml:"VersionIdMarker"`
		NextKeyMarker           string `xml:",omitempty"`
		NextVersionIDMarker     string `xml:"NextVersionIdMarker,omitempty"`
		MaxKeys                 int
		Delimiter               string `xml:",omitempty"`
		EncodingType            string `xml:",omitempty"`
		IsTruncated             bool
		Versions                []listedVersion `xml:"Version"`
		DeleteMarkers           []listedVersion `xml:"DeleteMarker"`
		CommonPrefixes          []commonPrefix
	}{Name: c.Bucket, Prefix: p.encode(p.prefix), MaxKeys: p.limit, Delimiter: p.encode(p.delimiter), EncodingType: p.encoding}
	afterKey, afterID := c.query.Get("key-marker"), c.query.Get("version-id-marker")
	out.KeyMarker, out.VersionIDMarker = p.encode(afterKey), afterID
	shown, group, lastKey, lastID := 0, "", "", ""
	// more counts an entry, and reports whether the page has space for it.
	more := func(key, id string) bool {
		if shown == p.limit {
			out.IsTruncated = p.limit > 0
			return false
		}
		shown, lastKey, lastID = shown+1, key, id
		return true
	}
keys:
	for _, key := range slices.Sorted(maps.Keys(c.b.keys)) {
		if !strings.HasPrefix(key, p.prefix) || key < afterKey || key == afterKey && afterID == "" {
			continue
		}
		if g := p.group(key); g != "" {
			if g == group || g == afterKey {
				continue
			}
			if !more(g, "") {
				break
			}
			group = g
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{p.encode(g)})
			continue
		}
		skip := key == afterKey
		list := c.b.keys[key]
		for i, v := range slices.Backward(list) {
			if skip {
				skip = v.id != afterID
				continue
			}
			if !more(key, v.id) {
				break keys
			}
			o := listedVersion{Key: p.encode(key), VersionID: v.id, IsLatest: i == len(list)-1, LastModified: v.modified.Format(timeFormat), Owner: c.owner()}
			if v.marker {
				out.DeleteMarkers = append(out.DeleteMarkers, o)
				continue
			}
			size := len(v.body)
			o.ETag, o.Size, o.StorageClass = v.etag, &size, v.class()
			out.Versions = append(out.Versions, o)
		}
	}
	if out.IsTruncated {
		out.NextKeyMarker, out.NextVersionIDMarker = p.encode(lastKey), lastID
	}
	return c.writeXML("ListVersionsResult", out)
}
