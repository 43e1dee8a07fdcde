// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"

// Global is the region of global resources in an inventory.
const Global = "global"

// Inventory returns the existing resources by region.
func (s *Server) Inventory() map[string][]ec2.Resource {
	s.settle()
	all := s.own.inventory()
	for _, b := range s.s3.Buckets() {
		all[b.Region] = append(all[b.Region], ec2.Resource{Kind: "bucket", ID: b.Name, Name: b.Name, Tags: b.Tags})
	}
	for region, sets := range s.stacks.Sets() {
		for _, v := range sets {
			all[region] = append(all[region], ec2.Resource{Kind: "stack-set", ID: v.ID, Name: v.Name, State: v.State, Tags: v.Tags})
		}
	}
	return all
}
