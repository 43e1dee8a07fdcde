// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"sort"
)

// Resource is one thing that a user of the rehearsal has made.
type Resource struct {
	Kind  string            `json:"kind"` // instance, volume, snapshot, image, key-pair, security-group, launch-template, capacity-reservation; of other services bucket, parameter, stack-set
	ID    string            `json:"id"`
	Name  string            `json:"name,omitempty"`
	State string            `json:"state,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`
	// Snapshots are those that an image is made of.
	Snapshots []string `json:"snapshots,omitempty"`
	// Image is the available image that a snapshot belongs to, or the image
	// that an instance was launched from.
	Image string `json:"image,omitempty"`
}

// Inventory returns by region what users have made and not removed again, in
// the order in which it was made. Terminated instances, and what AWS provides,
// are left out; so are regions with nothing.
func (s *Service) Inventory() map[string][]Resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
	out := map[string][]Resource{}
	for name, r := range s.regions {
		var list []Resource
		for _, v := range r.instances.all() {
			if v.State != terminated {
				list = append(list, Resource{Kind: "instance", ID: v.InstanceID, State: v.State.Name, Tags: v.Tags.asMap(), Image: v.ImageID})
			}
		}
		for _, v := range r.volumes.all() {
			list = append(list, Resource{Kind: "volume", ID: v.VolumeID, State: v.Status, Tags: v.Tags.asMap()})
		}
		of := map[string]string{}
		for _, v := range r.images.all() {
			if v.seeded {
				continue
			}
			res := Resource{Kind: "image", ID: v.ImageID, Name: v.Name, State: v.State, Tags: v.Tags.asMap()}
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
		for _, v := range r.snapshots.all() {
			list = append(list, Resource{Kind: "snapshot", ID: v.SnapshotID, State: v.Status, Tags: v.Tags.asMap(), Image: of[v.SnapshotID]})
		}
		for _, v := range r.keys.all() {
			list = append(list, Resource{Kind: "key-pair", ID: v.KeyPairID, Name: v.Name, Tags: v.Tags.asMap()})
		}
		for _, v := range r.groups.all() {
			if !v.seeded {
				list = append(list, Resource{Kind: "security-group", ID: v.GroupID, Name: v.Name, Tags: v.Tags.asMap()})
			}
		}
		for _, v := range r.templates.all() {
			list = append(list, Resource{Kind: "launch-template", ID: v.TemplateID, Name: v.Name, Tags: v.Tags.asMap()})
		}
		for _, v := range r.reservations.all() {
			list = append(list, Resource{Kind: "capacity-reservation", ID: v.ID, State: v.State, Tags: v.Tags.asMap()})
		}
		if len(list) > 0 {
			out[name] = list
		}
	}
	return out
}

// Leaked says whether a resource is anything but an available image, a snapshot
// of one, and what those are published in: a stack set is left alone once no
// operation of it is under way.
func (r Resource) Leaked() bool {
	switch r.Kind {
	case "image":
		return r.State != "available"
	case "stack-set":
		return r.State != "ACTIVE"
	case "snapshot":
		return r.State != "completed" || r.Image == ""
	case "bucket", "parameter":
		return false
	}
	return true
}

// SortedRegions returns the regions of an inventory in the order of names.
func SortedRegions(inventory map[string][]Resource) []string {
	names := make([]string, 0, len(inventory))
	for name := range inventory {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (l *tagList) asMap() map[string]string {
	if len(l.Items) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, t := range l.Items {
		m[t.Key] = t.Value
	}
	return m
}
