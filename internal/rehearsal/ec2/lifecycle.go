// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/machines"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// settleInstance completes a state transition that is due.
func (s *Service) settleInstance(r *region, i *instanceT, now time.Time) {
	if i.State == terminated && now.Sub(i.endedAt) > terminatedRetention {
		r.instances.Remove(i.InstanceID)
		return
	}
	if !i.interruption.IsZero() && !now.Before(i.interruption) {
		s.interrupt(i, now)
	}
	t := i.transition
	if t == nil || !t.job.Done || now.Before(t.at) {
		return
	}
	i.transition = nil
	if t.job.Err != nil && t.to == running {
		// Like a failure of EC2's own host: the instance never runs.
		i.State, i.StateReason = shuttingDown, &stateReason{"Server.InternalError", "Server.InternalError: " + t.job.Err.Error()}
		if end := new(launchError); errors.As(t.job.Err, &end) {
			i.StateReason, i.Reason = (*stateReason)(end), end.Code
		}
		s.finish(r, i, now)
		return
	}
	i.State = t.to
	switch t.to {
	case running:
		i.meter.on(t.at)
		i.setAddresses(true)
	case stopped:
		i.setAddresses(false)
	case terminated:
		s.finish(r, i, now)
	}
}

// finish terminates an instance and deletes the volumes that terminate with it.
func (s *Service) finish(r *region, i *instanceT, now time.Time) {
	i.State, i.endedAt, i.transition = terminated, now, nil
	i.meter.end(now)
	if i.reserved != nil {
		i.reserved.Available++
		i.reserved = nil
	}
	for _, d := range i.Devices.Items {
		v, ok := r.volumes.Get(d.Ebs.VolumeID)
		switch {
		case ok && d.Ebs.Delete:
			r.volumes.Remove(v.VolumeID)
			v.deleted = true
			s.dropUnused(v.layer)
		case ok:
			v.detach()
		}
	}
	i.Devices.Items, i.Interfaces.Items = nil, nil
	i.PrivateIP, i.PublicIP, i.SubnetID, i.VpcID = "", "", "", ""
	i.Groups.Items = nil
	s.dropUnused(i.layer)
}

// setAddresses sets the addresses of an instance. A stopped instance keeps only its
// private address.
func (i *instanceT) setAddresses(on bool) {
	i.PrivateIP = i.address
	i.PublicIP = ""
	i.nic.Association = nil
	if on && i.public {
		i.PublicIP = i.address
		i.nic.Association = &association{Owner: "amazon", PublicIP: i.address}
	}
	i.nic.Addresses = query.SetOf(nicIP{Association: i.nic.Association, Primary: true, Address: i.address})
}

// launchMachine starts the machine of a new instance.
func (s *Service) launchMachine(i *instanceT, key []byte, userData []byte) *machines.Job {
	return i.queue.Start(instance.Spec{
		ID: i.InstanceID, Layer: i.layer, User: i.login, AuthorizedKeys: key, UserData: userData, Address: i.address,
		PushedKeys: func() []byte { return s.pushedKeys(i) },
		Metadata:   func() imds.Instance { return s.metadata(i) },
	}, func() { s.poweredOff(i) })
}

// poweredOff handles a machine that shut itself down.
func (s *Service) poweredOff(i *instanceT) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.State != running && i.State != pending {
		return
	}
	now := s.cfg.Clock.Now()
	i.StateReason = &stateReason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
	if i.onShutdown == "terminate" || i.Lifecycle == "spot" { // a one-time spot instance cannot stop
		i.State = shuttingDown
		i.meter.end(now)
		i.transition = &transition{terminated, now.Add(s.cfg.Pace.Terminated), i.queue.End()}
		return
	}
	i.State = stopping
	i.meter.off(now)
	i.transition = &transition{stopped, now.Add(s.cfg.Pace.Stopped), &machines.Job{Done: true}}
}

type stateChange struct {
	ID       string `xml:"instanceId"`
	Current  state  `xml:"currentState"`
	Previous state  `xml:"previousState"`
}

type stateChanges struct {
	Instances query.Set[stateChange] `xml:"instancesSet"`
}

// change checks all requested instances, then applies a change to each.
func (c *call) change(check func(*instanceT) error, apply func(*instanceT)) (any, error) {
	found, err := c.instancesByID(c.Params.List("InstanceId"))
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if err := check(i); err != nil {
			return nil, err
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	var out stateChanges
	for _, i := range found {
		before := i.State
		apply(i)
		out.Instances.Items = append(out.Instances.Items, stateChange{i.InstanceID, i.State, before})
	}
	return out, nil
}

func wrongState(i *instanceT, verb string) error {
	return query.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i.InstanceID, verb)
}

func startInstances(c *call) (any, error) {
	return c.change(func(i *instanceT) error {
		if i.State != stopped && i.State != running && i.State != pending {
			return wrongState(i, "started")
		}
		return nil
	}, func(i *instanceT) {
		if i.State != stopped {
			return
		}
		i.State, i.StateReason, i.Reason = pending, nil, ""
		s := c.s
		i.transition = &transition{running, c.Now.Add(s.cfg.Pace.Running), i.queue.Boot(func() { s.poweredOff(i) })}
	})
}

func stopInstances(c *call) (any, error) {
	return c.change(func(i *instanceT) error {
		if i.Lifecycle == "spot" {
			return query.Errorf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.InstanceID)
		}
		if i.State != running && i.State != stopping && i.State != stopped {
			return wrongState(i, "stopped")
		}
		return nil
	}, func(i *instanceT) {
		if i.State != running {
			return
		}
		i.State = stopping
		c.r.failWaiting(i, c.Now)
		i.meter.off(c.Now)
		i.userReason(c.Now, "Client.UserInitiatedShutdown", "User initiated shutdown")
		i.transition = &transition{stopped, c.Now.Add(c.s.cfg.Pace.Stopped), i.queue.Each(func(ctx context.Context, m instance.Machine) error { return m.Stop(ctx) })}
	})
}

func (i *instanceT) userReason(now time.Time, code, text string) {
	i.StateReason = &stateReason{code, code + ": " + text}
	i.Reason = fmt.Sprintf("User initiated (%s)", now.UTC().Format("2006-01-02 15:04:05 MST"))
}

func terminateInstances(c *call) (any, error) {
	return c.change(func(i *instanceT) error {
		if i.protected {
			return query.Errorf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", i.InstanceID)
		}
		return nil
	}, func(i *instanceT) {
		if i.State == terminated || i.State == shuttingDown {
			return
		}
		i.State = shuttingDown
		c.r.failWaiting(i, c.Now)
		i.meter.end(c.Now)
		i.userReason(c.Now, "Client.UserInitiatedShutdown", "User initiated shutdown")
		i.transition = &transition{terminated, c.Now.Add(c.s.cfg.Pace.Terminated), i.queue.End()}
	})
}

// Reclaim interrupts the spot instance of that id in a region, or all if it is "*",
// after a notice in the instance's metadata; 0 interrupts it at once. It returns the
// number of instances.
func (s *Service) Reclaim(regionName, id string, notice time.Duration) int {
	return s.eachSpot(regionName, id, func(i *instanceT, now time.Time) {
		if notice > 0 {
			i.interruption = now.Add(notice)
			return
		}
		s.interrupt(i, now)
	})
}

// Rebalance recommends a rebalance in the metadata of the spot instance of that id in a
// region, or of all if it is "*".
func (s *Service) Rebalance(regionName, id string) int {
	return s.eachSpot(regionName, id, func(i *instanceT, now time.Time) { i.rebalance = now })
}

// eachSpot calls do for spot instances, and returns their number.
func (s *Service) eachSpot(regionName, id string, do func(*instanceT, time.Time)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, n := s.regions[regionName], 0
	if r == nil {
		return 0
	}
	for _, i := range r.instances.All() {
		if i.Lifecycle != "spot" || i.State == terminated || i.State == shuttingDown || id != "*" && id != i.InstanceID {
			continue
		}
		do(i, s.cfg.Clock.Now())
		n++
	}
	return n
}

// interrupt ends a spot instance as EC2 does that needs its capacity.
func (s *Service) interrupt(i *instanceT, now time.Time) {
	i.State, i.interruption = shuttingDown, time.Time{}
	i.meter.end(now)
	i.StateReason = &stateReason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"}
	i.transition = &transition{terminated, now.Add(s.cfg.Pace.Terminated), i.queue.End()}
}

func rebootInstances(c *call) (any, error) {
	_, err := c.change(func(i *instanceT) error {
		if i.State != running {
			return wrongState(i, "rebooted")
		}
		return nil
	}, func(i *instanceT) {
		i.queue.Each(func(ctx context.Context, m instance.Machine) error { return m.Reboot(ctx) })
	})
	return api.Success, err
}

func getConsoleOutput(c *call) (any, error) {
	i, err := c.instance(c.Params.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	text := i.queue.Console()
	return struct {
		ID   string `xml:"instanceId"`
		Time string `xml:"timestamp"`
		Text string `xml:"output"`
	}{i.InstanceID, api.Stamp(c.Now), base64.StdEncoding.EncodeToString([]byte(text))}, nil
}
