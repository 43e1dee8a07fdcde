// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"math"
	"time"
)

// Usage is the usage of an instance, which may be terminated.
type Usage struct {
	Region string `json:"region"`
	ID     string `json:"id"`
	Type   string `json:"type"`
	Spot   bool   `json:"spot,omitempty"`
	// BilledSeconds is the time in the state running, which EC2 bills
	// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html),
	// without the minimum of 60 seconds.
	BilledSeconds float64 `json:"billed_seconds"`
	// HeldSeconds is the time from the launch to the request to terminate, during
	// which its volumes are billed and it counts against the vCPU quota.
	HeldSeconds float64 `json:"held_seconds"`
}

// meter measures an instance's time.
type meter struct {
	instance *instanceT
	region   string
	since    time.Time // start of the state running; zero in other states
	ran      time.Duration
	ended    time.Time
}

// on starts counting at the time when the instance enters running.
func (m *meter) on(at time.Time) { m.since = at }

// off stops counting at a time.
func (m *meter) off(at time.Time) {
	if !m.since.IsZero() {
		m.ran += at.Sub(m.since)
	}
	m.since = time.Time{}
}

// end stops counting at the time when the instance starts to terminate.
func (m *meter) end(at time.Time) {
	if m.off(at); m.ended.IsZero() {
		m.ended = at
	}
}

// Usage returns the usage of every instance since its launch, in the order of the
// launches.
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
			BilledSeconds: seconds(total.ran), HeldSeconds: seconds(until.Sub(m.instance.createdAt)),
		})
	}
	return list
}
