// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"sort"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type tag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type tagList struct {
	Items []tag `xml:"item"`
}

func (l *tagList) get(key string) (string, bool) {
	for _, t := range l.Items {
		if t.Key == key {
			return t.Value, true
		}
	}
	return "", false
}

func (l *tagList) set(tags ...tag) {
	for _, t := range tags {
		l.remove(t.Key)
		l.Items = append(l.Items, t)
	}
	sort.Slice(l.Items, func(i, j int) bool { return l.Items[i].Key < l.Items[j].Key })
}

func (l *tagList) remove(key string) {
	for i, t := range l.Items {
		if t.Key == key {
			l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
			return
		}
	}
}

func (l *tagList) clone() tagList { return tagList{Items: append([]tag(nil), l.Items...)} }

// mostTags is how many tags a resource may have.
const mostTags = 50

// tagsFor returns the tags that TagSpecification has for a type of resource.
func (c *call) tagsFor(kind string) (tagList, error) { return tagsIn(c.p, kind) }

func tagsIn(p query.Params, kind string) (tagList, error) {
	var l tagList
	for _, spec := range p.Items("TagSpecification") {
		if spec.Get("ResourceType") == "" {
			return l, query.Errorf("InvalidParameterValue", "Tag specification resource type must have a value")
		}
		if spec.Get("ResourceType") != kind {
			continue
		}
		tags, err := readTags(spec)
		if err != nil {
			return l, err
		}
		l.set(tags...)
	}
	return l, checkCount(&l)
}

func readTags(p query.Params) ([]tag, error) {
	var out []tag
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
		out = append(out, tag{key, t.Get("Value")})
	}
	return out, nil
}

func checkCount(l *tagList) error {
	if len(l.Items) > mostTags {
		return query.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// tagged returns the tags of the resource with that id and its type's name.
func (c *call) tagged(id string) (*tagList, string, error) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "ami":
		v, err := c.image(id)
		if err != nil {
			return nil, "", err
		}
		return &v.Tags, "image", nil
	case "i":
		v, err := c.instance(id)
		if err != nil {
			return nil, "", err
		}
		return &v.Tags, "instance", nil
	case "snap":
		v, err := c.snapshot(id)
		if err != nil {
			return nil, "", err
		}
		return &v.Tags, "snapshot", nil
	case "vol":
		v, err := c.volume(id)
		if err != nil {
			return nil, "", err
		}
		return &v.Tags, "volume", nil
	}
	if all := c.r.otherTags()[id]; all != nil {
		return all.tags, all.kind, nil
	}
	return nil, "", query.Errorf("InvalidID", "The ID '%s' is not valid", id)
}

type kindTags struct {
	kind string
	tags *tagList
}

// otherTags returns the tags of what has no look-up of its own, by id.
func (r *region) otherTags() map[string]*kindTags {
	out := map[string]*kindTags{r.vpc.VpcID: {"vpc", &r.vpc.Tags}}
	for _, v := range r.subnets.all() {
		out[v.SubnetID] = &kindTags{"subnet", &v.Tags}
	}
	for _, v := range r.groups.all() {
		out[v.GroupID] = &kindTags{"security-group", &v.Tags}
		for _, rule := range v.rules {
			out[rule.RuleID] = &kindTags{"security-group-rule", &rule.Tags}
		}
	}
	for _, v := range r.keys.all() {
		out[v.KeyPairID] = &kindTags{"key-pair", &v.Tags}
	}
	for _, v := range r.templates.all() {
		out[v.TemplateID] = &kindTags{"launch-template", &v.Tags}
	}
	for _, v := range r.fleets.all() {
		out[v.id] = &kindTags{"fleet", &v.tags}
	}
	for _, v := range r.instances.all() {
		if v.SpotRequestID != "" {
			out[v.SpotRequestID] = &kindTags{"spot-instances-request", &v.spotTags}
		}
		out[v.nic.InterfaceID] = &kindTags{"network-interface", &v.nic.tags}
	}
	return out
}

func createTags(c *call) (any, error) {
	tags, err := readTags(c.p)
	if err != nil {
		return nil, err
	}
	var lists []*tagList
	for _, id := range c.p.List("ResourceId") {
		l, _, err := c.tagged(id)
		if err != nil {
			return nil, err
		}
		after := l.clone()
		after.set(tags...)
		if err := checkCount(&after); err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	for _, l := range lists {
		l.set(tags...)
	}
	return done{true}, nil
}

func deleteTags(c *call) (any, error) {
	var lists []*tagList
	for _, id := range c.p.List("ResourceId") {
		l, _, err := c.tagged(id)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	for _, l := range lists {
		if !c.p.Has("Tag") {
			l.Items = nil
		}
		for _, t := range c.p.Items("Tag") {
			if have, _ := l.get(t.Get("Key")); !t.Has("Value") || have == t.Get("Value") {
				l.remove(t.Get("Key"))
			}
		}
	}
	return done{true}, nil
}

type tagDescription struct {
	ResourceID string `xml:"resourceId"`
	Kind       string `xml:"resourceType"`
	tag
}

func describeTags(c *call) (any, error) {
	var found []tagDescription
	add := func(id, kind string, l *tagList) error {
		for _, t := range l.Items {
			ok, err := c.matches(tagList{Items: []tag{t}}, func(name string) ([]string, bool) {
				switch name {
				case "key":
					return []string{t.Key}, true
				case "value":
					return []string{t.Value}, true
				case "resource-id":
					return []string{id}, true
				case "resource-type":
					return []string{kind}, true
				}
				return nil, false
			})
			if err != nil {
				return err
			}
			if ok {
				found = append(found, tagDescription{id, kind, t})
			}
		}
		return nil
	}
	all := c.r.otherTags()
	for _, v := range c.r.images.all() {
		all[v.ImageID] = &kindTags{"image", &v.Tags}
	}
	for _, v := range c.r.instances.all() {
		all[v.InstanceID] = &kindTags{"instance", &v.Tags}
	}
	for _, v := range c.r.snapshots.all() {
		all[v.SnapshotID] = &kindTags{"snapshot", &v.Tags}
	}
	for _, v := range c.r.volumes.all() {
		all[v.VolumeID] = &kindTags{"volume", &v.Tags}
	}
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		if err := add(id, all[id].kind, all[id].tags); err != nil {
			return nil, err
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Tags query.Set[tagDescription] `xml:"tagSet"`
		Next string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}

// done is the answer of an action that says only that it was done.
type done struct {
	Return bool `xml:"return"`
}
