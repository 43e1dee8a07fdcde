// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// named are the parameters that name the resources of an action whose tags IAM
// checks: policy.Conditional.
var named = map[string][]string{
	"AuthorizeSecurityGroupIngress": {"GroupId", "GroupName"}, "CreateTags": {"ResourceId"}, "DeleteKeyPair": {"KeyPairId", "KeyName"},
	"DeleteLaunchTemplate": {"LaunchTemplateId", "LaunchTemplateName"}, "DeleteSecurityGroup": {"GroupId", "GroupName"}, "DeleteSnapshot": {"SnapshotId"}, "DeleteTags": {"ResourceId"}, "DeleteVolume": {"VolumeId"},
	"DeregisterImage": {"ImageId"}, "DisableImage": {"ImageId"}, "DisableImageDeregistrationProtection": {"ImageId"}, "EnableImageDeprecation": {"ImageId"},
	"EnableImageDeregistrationProtection": {"ImageId"}, "ModifyImageAttribute": {"ImageId"}, "ModifyInstanceAttribute": {"InstanceId"},
	"ModifySnapshotAttribute": {"SnapshotId"}, "RebootInstances": {"InstanceId"}, "StartInstances": {"InstanceId"}, "StopInstances": {"InstanceId"},
	"TerminateInstances": {"InstanceId"},
}

// ConditionKeys returns the condition keys of each resource for which IAM evaluates an
// action that a call needs. A resource that does not exist has no tags, so that IAM
// denies what EC2 would not find.
func (s *Service) ConditionKeys(regionName, action, needed string, p query.Params) (resources []policy.Keys) {
	if needed == "ec2:CreateTags" && action != "CreateTags" {
		for _, spec := range p.Items("TagSpecification") {
			resources = append(resources, keysOf(spec, policy.Keys{policy.CreateAction: action}))
		}
		return resources
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[regionName]
	if r == nil || needed != "ec2:"+action {
		return nil
	}
	for _, parameter := range named[action] {
		ids := p.List(parameter)
		if id := p.Get(parameter); id != "" {
			ids = append(ids, id)
		}
		for _, id := range ids {
			keys := policy.Keys{}
			for _, t := range r.tagsOf(id) {
				keys[policy.ResourceTag+t.Key], keys[policy.EC2ResourceTag+t.Key] = t.Value, t.Value
			}
			resources = append(resources, keysOf(p, keys))
		}
	}
	return resources
}

// keysOf adds the tags of a request to the keys of a resource.
func keysOf(tagged query.Params, keys policy.Keys) policy.Keys {
	for _, t := range tagged.Items("Tag") {
		keys[policy.RequestTag+t.Get("Key")] = t.Get("Value")
	}
	return keys
}

// tagsOf returns the tags of a resource by its id, or of a key pair, a security group or
// a launch template by its name. IAM knows a resource at once that other calls do not find yet.
func (r *region) tagsOf(id string) []api.Tag {
	if v, ok := r.images.Get(id); ok {
		return v.Tags.Items
	}
	if v, ok := r.instances.Get(id); ok {
		return v.Tags.Items
	}
	if v, ok := r.snapshots.Get(id); ok {
		return v.Tags.Items
	}
	if v, ok := r.volumes.Get(id); ok {
		return v.Tags.Items
	}
	if v := r.otherTags()[id]; v != nil {
		return v.tags.Items
	}
	for _, v := range r.Keys.All() {
		if v.Name == id {
			return v.Tags.Items
		}
	}
	for _, v := range r.Groups.All() {
		if v.Name == id {
			return v.Tags.Items
		}
	}
	for _, v := range r.templates.All() {
		if v.Name == id {
			return v.Tags.Items
		}
	}
	return nil
}
