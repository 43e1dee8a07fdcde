// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

// Open says whether the account can use a region.
func (s *Service) Open(region string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	return r != nil && r.optedIn()
}

// HasImage says whether the account sees an available image in a region.
func (s *Service) HasImage(region, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	if r == nil {
		return false
	}
	s.settle(s.cfg.Clock.Now())
	v, ok := r.images.get(id)
	return ok && v.State == "available"
}
