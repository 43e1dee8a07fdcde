// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type imageReference struct {
	ImageID string `xml:"imageId"`
	Kind    string `xml:"resourceType"`
	ARN     string `xml:"arn"`
}

// describeImageReferences lists the instances and launch templates that use images. The
// rehearsal has no Image Builder recipes.
func describeImageReferences(c *call) (any, error) {
	requested := c.Params.List("ImageId")
	if len(requested) > 10 {
		return nil, query.Errorf("InvalidParameterValue", "At most 10 image IDs can be specified.")
	}
	if !c.Params.Has("IncludeAllResourceTypes") && !c.Params.Has("ResourceType.1.ResourceType") {
		return nil, query.Errorf("MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified.")
	}
	for _, id := range requested {
		if _, err := c.image(id); err != nil {
			return nil, err
		}
	}
	var found []imageReference
	arn := func(kind, id string) string {
		return "arn:aws:ec2:" + c.r.Name + ":" + c.s.cfg.AccountID + ":" + kind + "/" + id
	}
	for _, v := range c.r.instances.All() {
		if api.Contains(requested, v.ImageID) && v.State != terminated {
			found = append(found, imageReference{v.ImageID, "ec2:Instance", arn("instance", v.InstanceID)})
		}
	}
	for _, v := range c.r.templates.All() {
		seen := map[string]bool{}
		for _, version := range v.versions {
			if id := version.data.Get("ImageId"); id != "" && !seen[id] && api.Contains(requested, id) {
				seen[id] = true
				found = append(found, imageReference{id, "ec2:LaunchTemplate", arn("launch-template", v.TemplateID)})
			}
		}
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		References query.Set[imageReference] `xml:"imageReferenceSet"`
		Next       string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}
