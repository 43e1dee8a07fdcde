// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

type tag struct{ Key, Value string }

type tagging struct {
	Tags []tag `xml:"TagSet>Tag"`
}

// tagsOf parses the tags of a header, k=v&k=v.
func tagsOf(header http.Header) ([]tag, error) {
	values, err := url.ParseQuery(header.Get("x-amz-tagging"))
	if err != nil {
		return nil, fail(400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	var tags []tag
	for key, value := range values {
		if len(value) != 1 {
			return nil, fail(400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		tags = append(tags, tag{key, value[0]})
	}
	slices.SortFunc(tags, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return tags, checkTags(tags, maxTags)
}

const maxTags = 10 // per object; a bucket allows 50

func checkTags(tags []tag, most int) error {
	if len(tags) > most {
		return fail(400, "BadRequest", "Object tags cannot be greater than "+strconv.Itoa(most))
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > 128 || strings.HasPrefix(t.Key, "aws:"):
			return fail(400, "InvalidTag", "The TagKey you have provided is invalid")
		case len(t.Value) > 256:
			return fail(400, "InvalidTag", "The TagValue you have provided is invalid")
		case seen[t.Key]:
			return fail(400, "InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		seen[t.Key] = true
	}
	return nil
}

func (c *call) readTags(most int) ([]tag, error) {
	var in tagging
	if err := c.bodyXML(&in); err != nil {
		return nil, err
	}
	return in.Tags, checkTags(in.Tags, most)
}

func (c *call) getTags() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	return c.writeXML("Tagging", tagging{v.tags})
}

func (c *call) putTags() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	tags, err := c.readTags(maxTags)
	if err != nil {
		return err
	}
	v.tags = tags
	return nil
}

func (c *call) deleteTags() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	v.tags, c.out.Status = nil, 204
	return nil
}

func (c *call) getBucketTags() error {
	if len(c.b.tags) == 0 {
		return fail(404, "NoSuchTagSet", "The TagSet does not exist")
	}
	return c.writeXML("Tagging", tagging{c.b.tags})
}

func (c *call) putBucketTags() error {
	tags, err := c.readTags(5 * maxTags)
	if err != nil {
		return err
	}
	c.b.tags, c.out.Status = tags, 204
	return nil
}

func (c *call) deleteBucketTags() error {
	c.b.tags, c.out.Status = nil, 204
	return nil
}
