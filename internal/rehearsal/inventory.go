// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"

// Global is the region of global resources in an inventory.
const Global = "global"

// Inventory returns the existing resources by region.
func (s *Server) Inventory() map[string][]ec2.Resource {
	all := s.ec2.Inventory()
	for _, b := range s.s3.Buckets() {
		all[b.Region] = append(all[b.Region], ec2.Resource{Kind: "bucket", ID: b.Name, Name: b.Name, Tags: b.Tags})
	}
	for _, p := range s.ssm.Parameters() {
		all[p.Region] = append(all[p.Region], ec2.Resource{Kind: "parameter", ID: p.Name, Name: p.Name, Tags: p.Tags, Image: p.Image})
	}
	for _, r := range s.iam.Resources() {
		all[Global] = append(all[Global], ec2.Resource{Kind: r.Kind, ID: r.Name, Name: r.Name, Tags: r.Tags})
	}
	for region, sets := range s.stacks.Sets() {
		for _, v := range sets {
			all[region] = append(all[region], ec2.Resource{Kind: "stack-set", ID: v.ID, Name: v.Name, State: v.State, Tags: v.Tags})
		}
	}
	return all
}
