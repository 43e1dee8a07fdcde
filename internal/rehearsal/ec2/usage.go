// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"math"
	"time"
)

// Usage is what an instance has used, also after it is gone.
type Usage struct {
	Region string `json:"region"`
	ID     string `json:"id"`
	Type   string `json:"type"`
	Spot   bool   `json:"spot,omitempty"`
	// BilledSeconds is how long it was running, the one state that EC2 bills
	// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html),
	// without its least of 60 seconds.
	BilledSeconds float64 `json:"billed_seconds"`
	// HeldSeconds is from its launch until it is told to end: so long it has its
	// volumes, which are billed too, and its share of the account's vCPU quota.
	HeldSeconds float64 `json:"held_seconds"`
}

// meter counts an instance's time.
type meter struct {
	instance *instanceT
	region   string
	since    time.Time // running since then; zero if it is not
	ran      time.Duration
	ended    time.Time
}

// on counts from at, when the instance came to run.
func (m *meter) on(at time.Time) { m.since = at }

// off counts until at.
func (m *meter) off(at time.Time) {
	if !m.since.IsZero() {
		m.ran += at.Sub(m.since)
	}
	m.since = time.Time{}
}

// end counts until at, when the instance began to end for good.
func (m *meter) end(at time.Time) {
	if m.off(at); m.ended.IsZero() {
		m.ended = at
	}
}

// Usage returns what each instance ever launched has used until now, in the
// order of their launches.
func (s *Service) Usage() []Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now()
	s.settle(now)
	seconds := func(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
	var list []Usage
	for _, m := range s.meters {
		total, until := *m, now
		if !m.ended.IsZero() {
			until = m.ended
		}
		total.off(until)
		list = append(list, Usage{
			Region: m.region, ID: m.instance.InstanceID, Type: m.instance.InstanceType, Spot: m.instance.Lifecycle == "spot",
			BilledSeconds: seconds(total.ran), HeldSeconds: seconds(until.Sub(m.instance.born)),
		})
	}
	return list
}
