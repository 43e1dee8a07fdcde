// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"sort"
	"strings"
)

// Resource is a resource that a user of the rehearsal created.
type Resource struct {
	Kind  string            `json:"kind"` // instance, volume, snapshot, image, key-pair, security-group, launch-template, capacity-reservation; from other services bucket, parameter, stack-set
	ID    string            `json:"id"`
	Name  string            `json:"name,omitempty"`
	State string            `json:"state,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`
	// Snapshots are the snapshots of an image.
	Snapshots []string `json:"snapshots,omitempty"`
	// Image is the available image of a snapshot, or the source image of an
	// instance.
	Image string `json:"image,omitempty"`
}

// Inventory returns the existing resources of users by region, in the order of their
// creation. It omits terminated instances, resources provided by AWS, and regions
// without resources.
func (s *Service) Inventory() map[string][]Resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
	out := map[string][]Resource{}
	for name, r := range s.regions {
		var list []Resource
		for _, v := range r.instances.All() {
			if v.State != terminated {
				list = append(list, Resource{Kind: "instance", ID: v.InstanceID, State: v.State.Name, Tags: v.Tags.AsMap(), Image: v.ImageID})
			}
		}
		for _, v := range r.volumes.All() {
			list = append(list, Resource{Kind: "volume", ID: v.VolumeID, State: v.Status, Tags: v.Tags.AsMap()})
		}
		of := map[string]string{}
		for _, v := range r.images.All() {
			if v.seeded {
				continue
			}
			res := Resource{Kind: "image", ID: v.ImageID, Name: v.Name, State: v.State, Tags: v.Tags.AsMap()}
			for _, m := range v.Devices.Items {
				if m.Ebs != nil && m.Ebs.SnapshotID != "" {
					res.Snapshots = append(res.Snapshots, m.Ebs.SnapshotID)
					if v.State == "available" {
						of[m.Ebs.SnapshotID] = v.ImageID
					}
				}
			}
			list = append(list, res)
		}
		for _, v := range r.snapshots.All() {
			list = append(list, Resource{Kind: "snapshot", ID: v.SnapshotID, State: v.Status, Tags: v.Tags.AsMap(), Image: of[v.SnapshotID]})
		}
		for _, v := range r.Keys.All() {
			list = append(list, Resource{Kind: "key-pair", ID: v.KeyPairID, Name: v.Name, Tags: v.Tags.AsMap()})
		}
		for _, v := range r.Groups.All() {
			if !v.Seeded {
				list = append(list, Resource{Kind: "security-group", ID: v.GroupID, Name: v.Name, Tags: v.Tags.AsMap()})
			}
		}
		for _, v := range r.templates.All() {
			list = append(list, Resource{Kind: "launch-template", ID: v.TemplateID, Name: v.Name, Tags: v.Tags.AsMap()})
		}
		for _, v := range r.reservations.All() {
			list = append(list, Resource{Kind: "capacity-reservation", ID: v.ID, State: v.State, Tags: v.Tags.AsMap()})
		}
		if len(list) > 0 {
			out[name] = list
		}
	}
	return out
}

// Leaked reports whether a resource is neither an available image, nor a snapshot of
// one, nor part of a publication. A stack set or a stack counts as leaked while it
// changes.
func (r Resource) Leaked() bool {
	switch r.Kind {
	case "image":
		return r.State != "available"
	case "stack-set":
		return r.State != "ACTIVE"
	case "stack":
		return strings.HasSuffix(r.State, "_IN_PROGRESS")
	case "snapshot":
		return r.State != "completed" || r.Image == ""
	case "bucket", "parameter":
		return false
	}
	return true
}

// SortedRegions returns the regions of an inventory, sorted by name.
func SortedRegions(inventory map[string][]Resource) []string {
	names := make([]string, 0, len(inventory))
	for name := range inventory {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
