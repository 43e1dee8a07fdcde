// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import "slices"

// unitAccounts returns the accounts of a unit, including those that joined it later.
func (s *Service) unitAccounts(unit string) []string {
	return slices.Concat(UnitAccounts(unit), s.joined[unit])
}

// Join adds an account to an organizational unit. Each stack set with automatic
// deployment and stacks of the unit creates stacks in the account, in the unit's regions.
func (s *Service) Join(unit, account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now()
	s.settle(now)
	if s.joined == nil {
		s.joined = map[string][]string{}
	}
	s.joined[unit] = append(s.joined[unit], account)
	for _, r := range s.regions {
		for _, set := range r.sets {
			if set.status != "ACTIVE" || set.autoDeployment == nil || !set.autoDeployment.Enabled {
				continue
			}
			var list []*instance
			for _, i := range set.sorted() {
				if i.unit == unit && set.instance(account, i.region) == nil {
					added := &instance{account: account, region: i.region, unit: unit, status: outdated}
					set.instances, list = append(set.instances, added), append(list, added)
				}
			}
			if len(list) > 0 {
				set.enqueue(&operation{set: set, id: s.uuid(), action: "CREATE", status: queued, created: now}, list)
			}
		}
	}
}
