// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"sort"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// tagged returns the tags of the resource with an id.
func (c *call) tagged(id string) (*api.TagList, error) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "ami":
		v, err := c.image(id)
		if err != nil {
			return nil, err
		}
		if !v.seeded && !c.owns(v) { // AWS gives each account its own tags of a shared image
			return nil, query.Errorf("UnsupportedOperation", "The rehearsal does not support tags of the image %s, which another account shares.", id)
		}
		return &v.Tags, nil
	case "i":
		v, err := c.instance(id)
		if err != nil {
			return nil, err
		}
		return &v.Tags, nil
	case "snap":
		v, err := c.snapshot(id)
		if err != nil {
			return nil, err
		}
		return &v.Tags, nil
	case "vol":
		v, err := c.volume(id)
		if err != nil {
			return nil, err
		}
		return &v.Tags, nil
	}
	if all := c.r.otherTags()[id]; all != nil {
		return all.tags, nil
	}
	return nil, query.Errorf("InvalidID", "The ID '%s' is not valid", id)
}

type kindTags struct {
	kind string
	tags *api.TagList
}

// otherTags returns the tags of resources without their own lookup function, by id.
func (r *region) otherTags() map[string]*kindTags {
	out := map[string]*kindTags{}
	r.Tags(func(id, kind string, tags *api.TagList) { out[id] = &kindTags{kind, tags} })
	for _, v := range r.templates.All() {
		out[v.TemplateID] = &kindTags{"launch-template", &v.Tags}
	}
	for _, v := range r.fleets.All() {
		out[v.id] = &kindTags{"fleet", &v.tags}
	}
	for _, v := range r.instances.All() {
		if v.SpotRequestID != "" {
			out[v.SpotRequestID] = &kindTags{"spot-instances-request", &v.spotTags}
		}
		out[v.nic.InterfaceID] = &kindTags{"network-interface", &v.nic.tags}
	}
	return out
}

func createTags(c *call) (any, error) {
	tags, err := api.ReadTags(c.Params)
	if err != nil {
		return nil, err
	}
	var lists []*api.TagList
	for _, id := range c.Params.List("ResourceId") {
		l, err := c.tagged(id)
		if err != nil {
			return nil, err
		}
		after := l.Clone()
		after.Set(tags...)
		if err := after.CheckCount(); err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, l := range lists {
		l.Set(tags...)
	}
	return api.Success, nil
}

func deleteTags(c *call) (any, error) {
	var lists []*api.TagList
	for _, id := range c.Params.List("ResourceId") {
		l, err := c.tagged(id)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, l := range lists {
		if !c.Params.Has("Tag") {
			l.Items = nil
		}
		for _, t := range c.Params.Items("Tag") {
			if have, _ := l.Get(t.Get("Key")); !t.Has("Value") || have == t.Get("Value") {
				l.Remove(t.Get("Key"))
			}
		}
	}
	return api.Success, nil
}

type tagDescription struct {
	ResourceID string `xml:"resourceId"`
	Kind       string `xml:"resourceType"`
	api.Tag
}

func describeTags(c *call) (any, error) {
	var found []tagDescription
	add := func(id, kind string, l *api.TagList) error {
		for _, t := range l.Items {
			ok, err := c.Matches(api.TagList{Items: []api.Tag{t}}, func(name string) ([]string, bool) {
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
	for _, v := range c.r.images.All() {
		all[v.ImageID] = &kindTags{"image", &v.Tags}
	}
	for _, v := range c.r.instances.All() {
		all[v.InstanceID] = &kindTags{"instance", &v.Tags}
	}
	for _, v := range c.r.snapshots.All() {
		all[v.SnapshotID] = &kindTags{"snapshot", &v.Tags}
	}
	for _, v := range c.r.volumes.All() {
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
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Tags query.Set[tagDescription] `xml:"tagSet"`
		Next string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}
