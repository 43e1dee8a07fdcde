// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// pushedFor is how long a key of EC2 Instance Connect can log in
// (https://docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/API_SendSSHPublicKey.html).
const pushedFor = time.Minute

// pushedKey is a public key that EC2 Instance Connect has sent.
type pushedKey struct {
	key   string
	until time.Time
}

// PushKey lets a key log in to a running instance for a minute, as EC2 Instance Connect
// does. A zone is optional.
func (s *Service) PushKey(region, id, zone, user, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now()
	s.settle(now)
	r := s.regions[region]
	if r == nil {
		return query.Errorf("EC2InstanceNotFoundException", "The instance %s was not found.", id)
	}
	i, ok := r.instances.Get(id)
	switch {
	case !ok || zone != "" && i.Placement.Zone != zone:
		return query.Errorf("EC2InstanceNotFoundException", "The instance %s was not found.", id)
	case i.State != running:
		return query.Errorf("EC2InstanceStateInvalidException", "The instance %s is in the state %s.", id, i.State.Name)
	}
	if user == i.login { // a machine has one user
		i.pushed = append(i.pushed, pushedKey{key, now.Add(pushedFor)})
	}
	return nil
}

// pushedKeys returns the keys that can log in to an instance now, in the format of
// authorized_keys.
func (s *Service) pushedKeys(i *instanceT) (keys []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now()
	for _, p := range i.pushed {
		if now.Before(p.until) {
			keys = append(keys, p.key+"\n"...)
		}
	}
	return keys
}
