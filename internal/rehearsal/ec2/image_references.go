// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type imageReference struct {
	ImageID string `xml:"imageId"`
	Kind    string `xml:"resourceType"`
	ARN     string `xml:"arn"`
}

// describeImageReferences names the instances and launch templates that are
// made from images; the rehearsal has no recipes.
func describeImageReferences(c *call) (any, error) {
	asked := c.p.List("ImageId")
	if len(asked) > 10 {
		return nil, query.Errorf("InvalidParameterValue", "At most 10 image IDs can be specified.")
	}
	if !c.p.Has("IncludeAllResourceTypes") && !c.p.Has("ResourceType.1.ResourceType") {
		return nil, query.Errorf("MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified.")
	}
	for _, id := range asked {
		if _, err := c.image(id); err != nil {
			return nil, err
		}
	}
	var found []imageReference
	arn := func(kind, id string) string {
		return "arn:aws:ec2:" + c.r.name + ":" + c.s.cfg.AccountID + ":" + kind + "/" + id
	}
	for _, v := range c.r.instances.all() {
		if contains(asked, v.ImageID) && v.State != terminated {
			found = append(found, imageReference{v.ImageID, "ec2:Instance", arn("instance", v.InstanceID)})
		}
	}
	for _, v := range c.r.templates.all() {
		if id := v.data.Get("ImageId"); id != "" && contains(asked, id) {
			found = append(found, imageReference{id, "ec2:LaunchTemplate", arn("launch-template", v.TemplateID)})
		}
	}
	set, next, err := page(c, found, 1)
	return struct {
		References query.Set[imageReference] `xml:"imageReferenceSet"`
		Next       string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}
