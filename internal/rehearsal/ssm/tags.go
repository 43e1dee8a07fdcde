// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ssm

import (
	"maps"
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// tagged returns the parameter whose tags are requested.
func (c *call) tagged() (*parameter, error) {
	if kind := c.p.Get("ResourceType"); kind != "Parameter" {
		return nil, query.Errorf("InvalidResourceType", "The rehearsal does not support resources of type %s.", kind)
	}
	p, err := c.find(c.p.Get("ResourceId"))
	if err != nil {
		return nil, query.Errorf("InvalidResourceId", "The resource ID isn't valid. Verify that you entered the correct ID and try again.")
	}
	return p, nil
}

func (c *call) addTags() (any, error) {
	p, err := c.tagged()
	if err != nil {
		return nil, err
	}
	for _, t := range c.p.Items("Tags") {
		p.tags[t.Get("Key")] = t.Get("Value")
	}
	return nil, nil
}

func (c *call) removeTags() (any, error) {
	p, err := c.tagged()
	if err != nil {
		return nil, err
	}
	for _, key := range c.p.List("TagKeys") {
		delete(p.tags, key)
	}
	return nil, nil
}

func (c *call) listTags() (any, error) {
	p, err := c.tagged()
	if err != nil {
		return nil, err
	}
	type tag struct{ Key, Value string }
	out := struct{ TagList []tag }{[]tag{}}
	for _, key := range slices.Sorted(maps.Keys(p.tags)) {
		out.TagList = append(out.TagList, tag{key, p.tags[key]})
	}
	return out, nil
}
