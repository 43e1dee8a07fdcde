// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
)

// accounts are the accounts of one rehearsal. Each has a Service with its own resources,
// and sees what others share: images by their launch permission, snapshots by their
// create volume permission. They have ids and a lock in common.
type accounts struct{ all []*Service }

// Other returns the EC2 of another account, which has the same settings except for those
// that change sets.
func (s *Service) Other(id string, change func(*Config)) *Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg := s.cfg
	cfg.AccountID = id
	change(&cfg)
	return (&Service{cfg: cfg, ids: s.ids, mu: s.mu, others: s.others}).open()
}

// regionOf returns a region of an account.
func (a *accounts) regionOf(account, region string) *region {
	for _, s := range a.all {
		if s.cfg.AccountID == account {
			return s.regions[region]
		}
	}
	return nil
}

// owns reports whether the caller's account owns an image.
func (c *call) owns(v *image) bool { return v.OwnerID == c.s.cfg.AccountID }

// ownerOf returns the region of the account that owns an image; AWS's images are in
// every account's.
func (c *call) ownerOf(v *image) *region {
	if other := c.s.others.regionOf(v.OwnerID, c.r.Name); !v.seeded && other != nil {
		return other
	}
	return c.r
}

// lets reports whether permissions include the caller's account. Organizations are not
// simulated.
func (c *call) lets(l api.Permissions) bool {
	return l.Public() || slices.Contains(l, api.Permission{User: c.s.cfg.AccountID})
}

// sharedImages returns the images that other accounts share with the caller's account in
// the region, without their tags, which only the owner sees.
func (c *call) sharedImages() (found []*image) {
	for _, other := range c.s.others.all {
		if other == c.s {
			continue
		}
		for _, v := range other.regions[c.r.Name].images.All() {
			if !v.seeded && v.State == "available" && c.lets(v.shared) {
				seen := *v
				seen.Tags = api.TagList{}
				found = append(found, &seen)
			}
		}
	}
	return found
}

// sharedImage returns one of sharedImages; nil if there is none with this id.
func (c *call) sharedImage(id string) *image {
	for _, v := range c.sharedImages() {
		if v.ImageID == id {
			return v
		}
	}
	return nil
}

// sharedSnapshots returns the snapshots that other accounts share with the caller's
// account in the region, without their tags.
func (c *call) sharedSnapshots() (found []*snapshotT) {
	for _, other := range c.s.others.all {
		if other == c.s {
			continue
		}
		for _, v := range other.regions[c.r.Name].snapshots.All() {
			if c.lets(v.shared) {
				seen := *v
				seen.Tags = api.TagList{}
				found = append(found, &seen)
			}
		}
	}
	return found
}

func (c *call) sharedSnapshot(id string) *snapshotT {
	for _, v := range c.sharedSnapshots() {
		if v.SnapshotID == id {
			return v
		}
	}
	return nil
}

// readable reports whether the caller's account can read all snapshots of another
// account's image. A launch permission alone does not suffice for a copy
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ami-copy-works.html).
func (c *call) readable(of *region, v *image) bool {
	for _, m := range v.Devices.Items {
		if m.Ebs == nil || m.Ebs.SnapshotID == "" {
			continue
		}
		if snap, ok := of.snapshots.Get(m.Ebs.SnapshotID); !ok || !c.lets(snap.shared) {
			return false
		}
	}
	return true
}

// reads reports whether the caller's account can decrypt a snapshot: its own, or one
// whose key's owner lets it.
func (c *call) reads(v *snapshotT) bool {
	return v.OwnerID == "" || v.OwnerID == c.s.cfg.AccountID || c.s.cfg.Reads != nil && c.s.cfg.Reads(v.KmsKeyID)
}
