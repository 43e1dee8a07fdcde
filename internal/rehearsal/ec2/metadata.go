// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"

// metadata returns what the metadata service tells an instance about itself.
func (s *Service) metadata(i *instanceT) imds.Instance {
	s.mu.Lock()
	out := imds.Instance{
		ImageID: i.ImageID, Type: i.InstanceType, Architecture: i.Architecture,
		Account: s.cfg.AccountID, Region: i.Placement.Zone[:len(i.Placement.Zone)-1], Zone: i.Placement.Zone,
		MAC: i.nic.Mac, Spot: i.Lifecycle == "spot",
		Disabled: i.Metadata.Endpoint == "disabled", TokensRequired: i.Metadata.Tokens == "required",
		Interruption: i.interruption, Rebalance: i.rebalance,
	}
	if i.nic.Association != nil {
		out.PublicIP = i.nic.Association.PublicIP
	}
	for _, g := range i.Groups.Items {
		out.SecurityGroups = append(out.SecurityGroups, g.Name)
	}
	if i.Metadata.Tags == "enabled" {
		out.Tags = map[string]string{}
		for _, t := range i.Tags.Items {
			out.Tags[t.Key] = t.Value
		}
	}
	role := i.Profile
	s.mu.Unlock()
	if role != nil && s.cfg.Role != nil {
		out.Role = s.cfg.Role(role.Arn, i.InstanceID)
	}
	return out
}
