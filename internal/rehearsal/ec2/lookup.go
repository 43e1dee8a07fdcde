// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

// Open reports whether the account can use a region.
func (s *Service) Open(region string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	return r != nil && r.optedIn()
}

// Agent returns the address of an instance whose Systems Manager agent is connected:
// the instance must be running and have an instance profile.
func (s *Service) Agent(region, id string) (address string, connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	if r == nil {
		return "", false
	}
	s.settle(s.cfg.Clock.Now())
	i, ok := r.instances.Get(id)
	if !ok || i.State != running || i.Profile == nil {
		return "", false
	}
	return i.address, true
}

// HasImage reports whether an image is available to the account in a region.
func (s *Service) HasImage(region, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	if r == nil {
		return false
	}
	s.settle(s.cfg.Clock.Now())
	if v, ok := r.images.Get(id); ok {
		return v.State == "available"
	}
	return s.newCall(r, "", nil).sharedImage(id) != nil
}
