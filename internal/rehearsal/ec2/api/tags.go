// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package api

import (
	"sort"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Tag is a tag of a resource.
type Tag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// TagList contains the tags of a resource.
type TagList struct {
	Items []Tag `xml:"item"`
}

// Get returns the value of a tag, and whether it exists.
func (l *TagList) Get(key string) (string, bool) {
	for _, t := range l.Items {
		if t.Key == key {
			return t.Value, true
		}
	}
	return "", false
}

// Set adds or replaces tags, and sorts them by key.
func (l *TagList) Set(tags ...Tag) {
	for _, t := range tags {
		l.Remove(t.Key)
		l.Items = append(l.Items, t)
	}
	sort.Slice(l.Items, func(i, j int) bool { return l.Items[i].Key < l.Items[j].Key })
}

// Remove removes a tag, if it exists.
func (l *TagList) Remove(key string) {
	for i, t := range l.Items {
		if t.Key == key {
			l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
			return
		}
	}
}

// Clone returns a copy of the list.
func (l *TagList) Clone() TagList { return TagList{Items: append([]Tag(nil), l.Items...)} }

// maxTags is the maximum number of tags of a resource.
const maxTags = 50

// TagsFor returns the tags in TagSpecification for a resource type.
func (r *Request) TagsFor(kind string) (TagList, error) { return TagsIn(r.Params, kind) }

// TagsIn returns the tags in TagSpecification of p for a resource type.
func TagsIn(p query.Params, kind string) (TagList, error) {
	var l TagList
	for _, spec := range p.Items("TagSpecification") {
		if spec.Get("ResourceType") == "" {
			return l, query.Errorf("InvalidParameterValue", "Tag specification resource type must have a value")
		}
		if spec.Get("ResourceType") != kind {
			continue
		}
		tags, err := ReadTags(spec)
		if err != nil {
			return l, err
		}
		l.Set(tags...)
	}
	return l, l.CheckCount()
}

// ReadTags returns the tags in the parameter Tag of p.
func ReadTags(p query.Params) ([]Tag, error) {
	var out []Tag
	for _, t := range p.Items("Tag") {
		key := t.Get("Key")
		switch {
		case strings.HasPrefix(key, "aws:"):
			return nil, query.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case key == "" || len([]rune(key)) > 127:
			return nil, query.Errorf("InvalidParameterValue", "Tag key exceeds the maximum length of 127 characters, or is empty")
		case len([]rune(t.Get("Value"))) > 255:
			return nil, query.Errorf("InvalidParameterValue", "Tag value exceeds the maximum length of 255 characters")
		}
		out = append(out, Tag{key, t.Get("Value")})
	}
	return out, nil
}

// CheckCount rejects more tags than a resource can have.
func (l *TagList) CheckCount() error {
	if len(l.Items) > maxTags {
		return query.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// AsMap returns the values by key; nil without tags.
func (l *TagList) AsMap() map[string]string {
	if len(l.Items) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, t := range l.Items {
		m[t.Key] = t.Value
	}
	return m
}
