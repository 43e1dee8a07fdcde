// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// settle does what is due in a group: it follows the instances, replaces those that are
// unhealthy or at risk, and launches or terminates until the capacity is the desired one.
func (g *group) settle(s *Service, r *region, now time.Time) {
	g.follow(s, r, now)
	for _, i := range g.instances {
		if i.active() && i.unhealthy != "" && !g.suspends("ReplaceUnhealthy") && !g.suspends("Terminate") {
			g.terminate(s, r, now, i, fmt.Sprintf("At %s an instance was taken out of service %s.", second(now), i.unhealthy))
		}
	}
	if f := g.refresh(); f != nil && !g.suspends("InstanceRefresh") {
		f.advance(g, s, r, now)
	}
	for g.capacity((*instance).stays) < g.Desired && !g.suspends("Launch") && !now.Before(g.nextTry) {
		if !g.launch(s, r, now) {
			break
		}
	}
	if g.capacity((*instance).stays) >= g.Desired {
		g.change = ""
	}
	g.shrink(s, r, now)
	g.follow(s, r, now) // without delays, what was begun has ended
}

// stays reports whether an instance counts for the capacity that a group keeps.
func (i *instance) stays() bool { return i.active() && i.atRisk == "" }

// serves reports whether an instance is in service.
func (i *instance) serves() bool { return i.state == inService && i.unhealthy == "" }

// capacity returns the sum of the weights of some instances.
func (g *group) capacity(of func(*instance) bool) (sum int) {
	for _, i := range g.instances {
		if of(i) {
			sum += i.weight
		}
	}
	return sum
}

// follow updates the instances from their states in EC2.
func (g *group) follow(s *Service, r *region, now time.Time) {
	var ids []string
	for _, i := range g.instances {
		ids = append(ids, i.id)
	}
	states := s.cfg.EC2.States(r.name, ids)
	g.instances = slices.DeleteFunc(g.instances, func(i *instance) bool {
		v, listed := states[i.id]
		switch {
		case i.state == terminating && (!listed || v.State == "terminated"):
			i.activity.end(now, "")
			return true
		case i.state == pending && !v.Runs():
			i.activity.end(now, "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "+v.Reason)
			g.nextTry = now.Add(s.cfg.Pace.Group)
			return true
		case i.state == pending && v.State == "running":
			i.state, i.since = inService, now
			i.activity.end(now, "")
		case i.state == inService && !v.Runs() && i.unhealthy == "" && !g.suspends("HealthCheck"):
			i.unhealthy = "in response to an EC2 health check indicating it has been terminated or stopped"
		}
		if noticed := !v.Rebalance.IsZero() || !v.Interruption.IsZero(); g.Rebalance && noticed && i.state == inService {
			i.atRisk = "in response to an EC2 instance rebalance recommendation"
		}
		return false
	})
}

// terminate terminates an instance.
func (g *group) terminate(s *Service, r *region, now time.Time, i *instance, cause string) {
	i.state = terminating
	i.activity = g.begin(s, now, "Terminating EC2 instance: "+i.id, cause, i.zone, i.subnet)
	s.cfg.EC2.Terminate(r.name, i.id)
}

// place is where a group launches.
type place struct {
	zone, subnet string
	used         int // capacity of the group there
}

// places returns the places of a group, those with the least capacity first.
func (g *group) places(s *Service, r *region) []place {
	var all []place
	if g.Subnets == "" {
		for _, zone := range g.Zones.Items {
			all = append(all, place{zone: zone})
		}
	} else {
		for subnet := range strings.SplitSeq(g.Subnets, ",") {
			subnet, zone := s.cfg.EC2.SubnetOf(r.name, subnet)
			all = append(all, place{zone: zone, subnet: subnet})
		}
	}
	for n := range all {
		all[n].used = g.capacity(func(i *instance) bool {
			return i.active() && i.zone == all[n].zone && (all[n].subnet == "" || i.subnet == all[n].subnet)
		})
	}
	slices.SortStableFunc(all, func(a, b place) int { return cmp.Compare(a.used, b.used) })
	return all
}

// launch launches one instance of each market whose capacity is missing, on demand
// first. It reports whether EC2 accepted a launch.
func (g *group) launch(s *Service, r *region, now time.Time) bool {
	if g.Policy == nil {
		return g.launchOne(s, r, now, false)
	}
	onDemand := g.Policy.Distribution.onDemand(g.Desired)
	missing := func(spot bool) bool {
		wanted := onDemand
		if spot {
			wanted = g.Desired - onDemand
		}
		return g.capacity(func(i *instance) bool { return i.stays() && i.spot == spot }) < wanted
	}
	launched := false
	for _, spot := range []bool{false, true} {
		if missing(spot) && g.capacity((*instance).stays) < g.Desired && g.launchOne(s, r, now, spot) {
			launched = true
		}
	}
	return launched
}

// launchOne launches one instance: in the emptiest place, or in another one if EC2
// refuses each type there.
func (g *group) launchOne(s *Service, r *region, now time.Time, spot bool) bool {
	before := g.capacity((*instance).stays)
	var last choice
	var refused error
	where := place{}
	for _, where = range g.places(s, r) {
		for _, v := range g.choices(s, r.name, where.zone, spot) {
			i, err := g.launchIn(s, r, now, where, v)
			if err != nil {
				last, refused = v, err
				continue
			}
			i.activity = g.begin(s, now, "Launching a new EC2 instance: "+i.id, g.cause(now, before, before+i.weight), i.zone, i.subnet)
			g.instances = append(g.instances, i)
			return true
		}
	}
	if refused == nil {
		return false
	}
	why := last.failed(g, refused)
	a := g.begin(s, now, "Launching a new EC2 instance.  Status Reason: "+why, g.cause(now, before, before+last.weight), where.zone, where.subnet)
	a.end(now, why)
	g.nextTry = now.Add(s.cfg.Pace.Group)
	return false
}

// cause returns why a group launches.
func (g *group) cause(now time.Time, from, to int) string {
	switch f := g.refresh(); {
	case g.change != "":
		return fmt.Sprintf("%s  At %s an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", g.change, second(now), from, to)
	case slices.ContainsFunc(g.instances, func(i *instance) bool { return i.active() && i.atRisk != "" }):
		return fmt.Sprintf("At %s an instance was launched in response to an EC2 instance rebalance recommendation.", second(now))
	case f != nil:
		return fmt.Sprintf("At %s an instance was launched in response to an instance refresh.", second(now))
	}
	return fmt.Sprintf("At %s an instance was launched in response to an unhealthy instance needing to be replaced.", second(now))
}

// launchIn launches an instance of a choice in a place.
func (g *group) launchIn(s *Service, r *region, now time.Time, where place, v choice) (*instance, error) {
	t, err := s.cfg.EC2.FindTemplate(r.name, v.ref.params())
	if err != nil {
		return nil, err
	}
	p, err := g.request(s, r, where, v, t)
	if err != nil {
		return nil, err
	}
	reserved := map[string]string{"aws:autoscaling:groupName": g.Name, "aws:ec2launchtemplate:id": t.ID, "aws:ec2launchtemplate:version": t.Version}
	for _, tag := range g.Tags.Items {
		if tag.Propagate && strings.HasPrefix(tag.Key, "aws:") {
			reserved[tag.Key] = tag.Value
		}
	}
	id, err := s.cfg.EC2.Launch(r.name, p, reserved)
	if err != nil {
		return nil, err
	}
	made := s.cfg.EC2.States(r.name, []string{id})[id]
	return &instance{
		id: id, kind: made.Type, zone: made.Zone, subnet: made.Subnet, image: made.ImageID, spot: made.Spot, weight: v.weight,
		weighted: g.Policy != nil && len(g.Policy.Template.Overrides.Items) > 0 && g.Policy.Template.Overrides.Items[0].Weight != "",
		template: ec2.Template{ID: t.ID, Name: t.Name, Version: t.Version}, state: pending, launched: now, protect: g.Protected,
	}, nil
}

// request returns the parameters of RunInstances.
func (g *group) request(s *Service, r *region, where place, v choice, t ec2.Template) (query.Params, error) {
	p := query.Params{}.Over(t.Data)
	if v.kind != "" {
		p["InstanceType"] = v.kind
	}
	if name, ok := strings.CutPrefix(p.Get("ImageId"), "resolve:ssm:"); ok {
		image, err := s.cfg.Parameter(r.name, name)
		if err != nil {
			return nil, query.Errorf("InvalidParameterValue", "The parameter %s of the launch template cannot be resolved: %s", name, message(err))
		}
		p["ImageId"] = image
	}
	switch {
	case where.subnet == "":
		p["Placement.AvailabilityZone"] = where.zone
	case p.Has("NetworkInterface"):
		p["NetworkInterface.1.SubnetId"] = where.subnet
	default:
		p["SubnetId"] = where.subnet
	}
	if g.Policy != nil && v.spot {
		p["InstanceMarketOptions.MarketType"] = "spot"
		if price := g.Policy.Distribution.MaxPrice; price != "" {
			p["InstanceMarketOptions.SpotOptions.MaxPrice"] = price
		}
	}
	tags := "TagSpecification." + strconv.Itoa(len(p.Items("TagSpecification"))+1) + "."
	n := 0
	for _, tag := range g.Tags.Items {
		if tag.Propagate && !strings.HasPrefix(tag.Key, "aws:") {
			n++
			p[fmt.Sprintf("%sTag.%d.Key", tags, n)], p[fmt.Sprintf("%sTag.%d.Value", tags, n)] = tag.Key, tag.Value
			p[tags+"ResourceType"] = "instance"
		}
	}
	return p, nil
}

// shrink terminates instances that the group does not need: first those at risk whose
// replacements are in service, then those above the desired capacity.
func (g *group) shrink(s *Service, r *region, now time.Time) {
	if g.suspends("Terminate") {
		return
	}
	for _, i := range g.instances {
		if i.active() && i.atRisk != "" && g.capacity(func(o *instance) bool { return o.stays() && o.serves() }) >= g.Desired {
			g.terminate(s, r, now, i, fmt.Sprintf("At %s an instance was taken out of service %s.", second(now), i.atRisk))
		}
	}
	for {
		i := g.surplus()
		if i == nil {
			return
		}
		at, from := second(now), g.capacity((*instance).stays)
		difference := fmt.Sprintf("At %s an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.  At %s instance %s was selected for termination.", at, from, from-i.weight, at, i.id)
		g.terminate(s, r, now, i, strings.TrimSpace(g.change+"  "+difference))
	}
}

// surplus returns the instance that a group terminates next because its capacity is
// above the desired one, or nil. It prefers a market with more capacity than the policy
// wants, then the fullest zone, an older template, and the oldest instance.
func (g *group) surplus() *instance {
	total := g.capacity((*instance).stays)
	extraOnDemand := g.Policy != nil && g.capacity(func(i *instance) bool { return i.stays() && !i.spot }) > g.Policy.Distribution.onDemand(g.Desired)
	inZone := func(zone string) int {
		return g.capacity(func(i *instance) bool { return i.stays() && i.zone == zone })
	}
	var all []*instance
	for _, i := range g.instances {
		if i.stays() && (!i.protect || g.deleting) && total-i.weight >= g.Desired {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return nil
	}
	version := func(i *instance) int { n, _ := strconv.Atoi(i.template.Version); return n }
	market := func(i *instance) int {
		if g.Policy != nil && i.spot == extraOnDemand {
			return 1
		}
		return 0
	}
	return slices.MinFunc(all, func(a, b *instance) int {
		return cmp.Or(cmp.Compare(market(a), market(b)), cmp.Compare(inZone(b.zone), inZone(a.zone)), cmp.Compare(version(a), version(b)), a.launched.Compare(b.launched))
	})
}
