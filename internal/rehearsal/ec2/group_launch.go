// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// This file has what Auto Scaling uses of EC2. A client cannot do it: reserved tags, and
// instances that EC2's own lists do not contain yet.

// InstanceState is the state of an instance.
type InstanceState struct {
	ID, State    string // State is a name, such as running
	Zone, Subnet string
	Type         string
	ImageID      string
	Spot         bool
	Reason       string // state reason
	// Rebalance is when EC2 recommended to replace a spot instance; Interruption is when
	// it will interrupt it. Both are zero without a notice.
	Rebalance, Interruption time.Time
}

// Runs reports whether the instance runs or will run.
func (v InstanceState) Runs() bool { return v.State == running.Name || v.State == pending.Name }

// States returns the states of instances by id. It omits those that EC2 no longer lists.
func (s *Service) States(regionName string, ids []string) map[string]InstanceState {
	out := map[string]InstanceState{}
	s.inRegion(regionName, func(c *call) {
		for _, id := range ids {
			if i, ok := c.r.instances.Get(id); ok {
				v := InstanceState{
					ID: id, State: i.State.Name, Zone: i.Placement.Zone, Subnet: i.SubnetID, Type: i.InstanceType, ImageID: i.ImageID, Spot: i.Lifecycle == "spot",
					Rebalance: i.rebalance, Interruption: i.interruption,
				}
				if i.StateReason != nil {
					v.Reason = i.StateReason.Message
				}
				out[id] = v
			}
		}
	})
	return out
}

// Launch launches one instance with the parameters of RunInstances and reserved tags.
// Faults of RunInstances apply.
func (s *Service) Launch(regionName string, p query.Params, reserved map[string]string) (id string, err error) {
	s.inRegion(regionName, func(c *call) {
		c.Params = p
		if p, err = c.withTemplate(p); err != nil {
			return
		}
		var made []*instanceT
		if made, err = c.launchPool(p, 1); err != nil {
			return
		}
		id = made[0].InstanceID
		for key, value := range reserved {
			made[0].Tags.Set(api.Tag{Key: key, Value: value})
		}
	})
	return id, err
}

// Terminate terminates the instances of a group.
func (s *Service) Terminate(regionName string, ids ...string) {
	s.inRegion(regionName, func(c *call) {
		for _, id := range ids {
			i, ok := c.r.instances.Get(id)
			if !ok || i.State == terminated || i.State == shuttingDown {
				continue
			}
			i.State = shuttingDown
			c.r.failWaiting(i, c.Now)
			i.meter.end(c.Now)
			i.userReason(c.Now, "Client.UserInitiatedShutdown", "User initiated shutdown")
			i.transition = &transition{terminated, c.Now.Add(s.cfg.Pace.Terminated), i.queue.End()}
		}
	})
}

// Template is a version of a launch template.
type Template struct {
	ID, Name, Version string       // Version is a number
	Data              query.Params // of RunInstances
}

// FindTemplate returns the version that a LaunchTemplateSpecification names. It returns
// EC2's error if the version, or its image, does not exist.
func (s *Service) FindTemplate(regionName string, spec query.Params) (out Template, err error) {
	s.inRegion(regionName, func(c *call) {
		t, v, missing := c.templateVersion(spec)
		if err = missing; err != nil {
			return
		}
		out = Template{t.TemplateID, t.Name, strconv.Itoa(v.number), v.data}
		if id := v.data.Get("ImageId"); id != "" && !strings.HasPrefix(id, "resolve:ssm:") {
			_, err = c.image(id)
		}
	})
	return out, err
}

// SubnetOf returns the subnet that stands for one of a group, and its zone.
func (s *Service) SubnetOf(regionName, id string) (subnet, zone string) {
	s.inRegion(regionName, func(c *call) { subnet, zone = c.Stand(id) })
	return subnet, zone
}

// Zones returns the names of a region's zones.
func (s *Service) Zones(regionName string) (names []string) {
	s.inRegion(regionName, func(c *call) {
		for _, z := range c.r.Zones {
			names = append(names, z.Name)
		}
	})
	return names
}

// SpotPrice returns the spot price of an instance type in a zone in USD an hour.
func (s *Service) SpotPrice(regionName, instanceType, zone string) (usd float64) {
	s.inRegion(regionName, func(c *call) {
		if kind, err := catalog.FindType(instanceType); err == nil {
			usd = kind.SpotUSD(slices.IndexFunc(c.r.Zones, func(z network.Zone) bool { return z.Name == zone }))
		}
	})
	return usd
}

// inRegion calls do with the lock held, if the account can use the region.
func (s *Service) inRegion(regionName string, do func(*call)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[regionName]
	if r == nil || !r.optedIn() || s.closed {
		return
	}
	c := s.newCall(r, "RunInstances", query.Params{})
	s.settle(c.Now)
	do(c)
}

// OnDemandPrice returns the price of an instance type in USD an hour.
func (s *Service) OnDemandPrice(instanceType string) float64 {
	kind, err := catalog.FindType(instanceType)
	if err != nil {
		return 0
	}
	return kind.OnDemandUSD()
}
