// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"fmt"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// refresh is an instance refresh, which replaces the instances of a group in batches.
type refresh struct {
	ID       string     `xml:"InstanceRefreshId"`
	Group    string     `xml:"AutoScalingGroupName"`
	Status   string     `xml:"Status"`
	Reason   string     `xml:"StatusReason,omitempty"`
	Start    string     `xml:"StartTime"`
	End      string     `xml:"EndTime,omitempty"`
	Percent  int        `xml:"PercentageComplete"`
	Left     int        `xml:"InstancesToUpdate"`
	Prefer   refreshing `xml:"Preferences"`
	Strategy string     `xml:"Strategy"`

	old   []string // ids of the instances to replace
	total int
}

type refreshing struct {
	MinHealthy int  `xml:"MinHealthyPercentage"`
	Warmup     int  `xml:"InstanceWarmup"` // in seconds
	Matching   bool `xml:"SkipMatching"`
}

// refresh returns the refresh under way, or nil.
func (g *group) refresh() *refresh {
	for _, f := range g.refreshes {
		if f.End == "" {
			return f
		}
	}
	return nil
}

func startRefresh(c *call) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	if g.refresh() != nil {
		return nil, query.Errorf("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	f := &refresh{ID: c.s.uuid(), Group: g.Name, Status: "Pending", Start: stamp(c.now), Strategy: "Rolling", Prefer: refreshing{MinHealthy: 90}}
	p := c.p.Sub("Preferences")
	for name, to := range map[string]*int{"MinHealthyPercentage": &f.Prefer.MinHealthy, "InstanceWarmup": &f.Prefer.Warmup} {
		if *to, err = p.Int(name, *to); err != nil {
			return nil, err
		}
	}
	f.Prefer.Matching = p.Bool("SkipMatching", false)
	if f.Prefer.MinHealthy < 0 || f.Prefer.MinHealthy > 100 {
		return nil, invalid("MinHealthyPercentage must be between 0 and 100.")
	}
	if c.p.Has("DesiredConfiguration") {
		next := *g
		inner := *c
		inner.p = c.p.Sub("DesiredConfiguration")
		if err := next.applyTemplate(&inner); err != nil {
			return nil, err
		}
		g.Template, g.Policy = next.Template, next.Policy
	}
	for _, i := range g.instances {
		if i.active() && (!f.Prefer.Matching || !g.matches(c.s, c.r, i)) {
			f.old = append(f.old, i.id)
		}
	}
	f.total, f.Left = len(f.old), len(f.old)
	g.refreshes = append(g.refreshes, f)
	return struct {
		ID string `xml:"InstanceRefreshId"`
	}{f.ID}, nil
}

// matches reports whether an instance was launched from the group's present template.
func (g *group) matches(s *Service, r *region, i *instance) bool {
	ref := g.Template
	if g.Policy != nil {
		ref = &g.Policy.Template.Spec
	}
	t, err := s.cfg.EC2.FindTemplate(r.name, ref.params())
	return err == nil && t.ID == i.template.ID && t.Version == i.template.Version
}

// advance replaces as many old instances as the healthy percentage lets, at least one at
// a time.
func (f *refresh) advance(g *group, s *Service, r *region, now time.Time) {
	f.Status = "InProgress"
	f.old = slices.DeleteFunc(f.old, func(id string) bool {
		return !slices.ContainsFunc(g.instances, func(i *instance) bool { return i.id == id && i.active() })
	})
	warm := func(i *instance) bool {
		return i.serves() && (slices.Contains(f.old, i.id) || !now.Before(i.since.Add(time.Duration(f.Prefer.Warmup)*time.Second)))
	}
	f.Left = len(f.old)
	if f.total > 0 {
		f.Percent = 100 * (f.total - f.Left) / f.total
	}
	if f.Left == 0 {
		if g.capacity(warm) >= g.Desired {
			f.Status, f.Percent, f.End = "Successful", 100, stamp(now)
		}
		return
	}
	least, healthy := (g.Desired*f.Prefer.MinHealthy+99)/100, g.capacity(warm)
	for _, i := range g.instances {
		if slices.Contains(f.old, i.id) && i.active() && (healthy-i.weight >= least || healthy >= g.Desired) {
			g.terminate(s, r, now, i, fmt.Sprintf("At %s an instance was taken out of service in response to an instance refresh.", second(now)))
			return
		}
	}
}

func cancelRefresh(c *call) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	f := g.refresh()
	if f == nil {
		return nil, query.Errorf("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", g.Name)
	}
	f.Status, f.Reason, f.End = "Cancelled", "Cancelled due to user request.", stamp(c.now)
	return struct {
		ID string `xml:"InstanceRefreshId"`
	}{f.ID}, nil
}

func describeRefreshes(c *call) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	ids := c.p.List("InstanceRefreshIds")
	var found []*refresh
	for _, f := range slices.Backward(g.refreshes) { // newest first
		if len(ids) == 0 || slices.Contains(ids, f.ID) {
			found = append(found, f)
		}
	}
	part, next, err := page(c, found)
	return struct {
		Refreshes query.Members[*refresh] `xml:"InstanceRefreshes"`
		Next      string                  `xml:"NextToken,omitempty"`
	}{part, next}, err
}
