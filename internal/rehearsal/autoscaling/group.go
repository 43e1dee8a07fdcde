// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// group is an Auto Scaling group: the fields of DescribeAutoScalingGroups, then the
// internal state of the rehearsal.
type group struct {
	Name          string                    `xml:"AutoScalingGroupName"`
	ARN           string                    `xml:"AutoScalingGroupARN"`
	Template      *templateRef              `xml:"LaunchTemplate"`
	Policy        *mixedPolicy              `xml:"MixedInstancesPolicy"`
	Min           int                       `xml:"MinSize"`
	Max           int                       `xml:"MaxSize"`
	Desired       int                       `xml:"DesiredCapacity"`
	Cooldown      int                       `xml:"DefaultCooldown"`
	Zones         query.Members[string]     `xml:"AvailabilityZones"`
	HealthType    string                    `xml:"HealthCheckType"`
	Grace         int                       `xml:"HealthCheckGracePeriod"` // in seconds
	Instances     query.Members[described]  `xml:"Instances"`
	Created       string                    `xml:"CreatedTime"`
	Suspended     query.Members[suspension] `xml:"SuspendedProcesses"`
	Subnets       string                    `xml:"VPCZoneIdentifier,omitempty"`
	Status        string                    `xml:"Status,omitempty"`
	Tags          query.Members[groupTag]   `xml:"Tags"`
	Policies      query.Members[string]     `xml:"TerminationPolicies"`
	Protected     bool                      `xml:"NewInstancesProtectedFromScaleIn"`
	Role          string                    `xml:"ServiceLinkedRoleARN"`
	Rebalance     bool                      `xml:"CapacityRebalance"`
	DefaultWarmup *int                      `xml:"DefaultInstanceWarmup"`

	instances  []*instance
	activities []*activity // oldest first
	refreshes  []*refresh  // oldest first
	deleting   bool
	change     string    // why the desired capacity changed, until it is reached
	nextTry    time.Time // of a launch after a failed one
}

// templateRef is a LaunchTemplateSpecification.
type templateRef struct {
	ID      string `xml:"LaunchTemplateId,omitempty"`
	Name    string `xml:"LaunchTemplateName,omitempty"`
	Version string `xml:"Version,omitempty"`
}

func (t templateRef) params() query.Params {
	p := query.Params{"Version": t.Version}
	if t.ID != "" {
		p["LaunchTemplateId"] = t.ID
	} else {
		p["LaunchTemplateName"] = t.Name
	}
	return p
}

type groupTag struct {
	Group     string `xml:"ResourceId"`
	Kind      string `xml:"ResourceType"`
	Key       string `xml:"Key"`
	Value     string `xml:"Value"`
	Propagate bool   `xml:"PropagateAtLaunch"`
}

// findGroup returns the requested group.
func (c *call) findGroup() (*group, error) {
	if err := c.required("AutoScalingGroupName"); err != nil {
		return nil, err
	}
	for _, g := range c.r.groups {
		if g.Name == c.p.Get("AutoScalingGroupName") {
			return g, nil
		}
	}
	return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup %s not found", c.p.Get("AutoScalingGroupName"))
}

func createGroup(c *call) (any, error) {
	if err := c.required("AutoScalingGroupName", "MinSize", "MaxSize"); err != nil {
		return nil, err
	}
	name := c.p.Get("AutoScalingGroupName")
	if _, err := c.findGroup(); err == nil {
		return nil, query.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
	}
	id := c.s.uuid()
	g := &group{
		Name: name, ARN: "arn:aws:autoscaling:" + c.r.name + ":" + c.s.cfg.AccountID + ":autoScalingGroup:" + id + ":autoScalingGroupName/" + name,
		Cooldown: 300, HealthType: "EC2", Created: stamp(c.now), Policies: query.Members[string]{Items: []string{"Default"}},
		Role: "arn:aws:iam::" + c.s.cfg.AccountID + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
	}
	if given := c.given("LaunchTemplate", "MixedInstancesPolicy"); given != 1 {
		return nil, invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if err := g.apply(c); err != nil {
		return nil, err
	}
	if len(g.Zones.Items) == 0 {
		return nil, invalid("At least one Availability Zone or VPC Subnet is required.")
	}
	g.Desired = g.Min
	if err := g.setCapacity(c); err != nil {
		return nil, err
	}
	for _, t := range c.p.Items("Tags") {
		if strings.HasPrefix(t.Get("Key"), "aws:") && !c.stack {
			return nil, invalid("Tag keys starting with 'aws:' are reserved for internal use")
		}
		g.Tags.Items = append(g.Tags.Items, groupTag{name, "auto-scaling-group", t.Get("Key"), t.Get("Value"), t.Bool("PropagateAtLaunch", false)})
	}
	slices.SortFunc(g.Tags.Items, func(a, b groupTag) int { return cmp.Compare(a.Key, b.Key) })
	g.changed(c.now, "a user request created an AutoScalingGroup", 0)
	c.r.groups = append(c.r.groups, g)
	return nil, nil
}

// given returns how many of the parameters the request has.
func (c *call) given(names ...string) (n int) {
	for _, name := range names {
		if c.p.Has(name) {
			n++
		}
	}
	return n
}

// apply sets the attributes of a request, except for the capacity and the tags.
func (g *group) apply(c *call) error {
	p := c.p
	if err := g.applyTemplate(c); err != nil {
		return err
	}
	if p.Has("VPCZoneIdentifier") || p.Has("AvailabilityZones") {
		if err := g.applyPlaces(c); err != nil {
			return err
		}
	}
	for name, to := range map[string]*int{"DefaultCooldown": &g.Cooldown, "HealthCheckGracePeriod": &g.Grace} {
		v, err := p.Int(name, *to)
		if err != nil || v < 0 {
			return invalid("%s is %q, expected a number of seconds", name, p.Get(name))
		}
		*to = v
	}
	if p.Has("DefaultInstanceWarmup") {
		v, err := p.Int("DefaultInstanceWarmup", 0)
		if err != nil {
			return err
		}
		g.DefaultWarmup = &v
	}
	g.HealthType = p.Or("HealthCheckType", g.HealthType)
	if g.HealthType != "EC2" && g.HealthType != "ELB" {
		return invalid("Invalid HealthCheckType: %s", g.HealthType)
	}
	g.Rebalance = p.Bool("CapacityRebalance", g.Rebalance)
	g.Protected = p.Bool("NewInstancesProtectedFromScaleIn", g.Protected)
	if list := p.List("TerminationPolicies"); len(list) > 0 {
		g.Policies.Items = list
	}
	return nil
}

// applyTemplate sets the launch template or the policy of a request. Auto Scaling
// rejects a template that cannot launch.
func (g *group) applyTemplate(c *call) error {
	switch c.given("LaunchTemplate", "MixedInstancesPolicy") {
	case 0:
		return nil
	case 2:
		return invalid("Valid requests must contain either LaunchTemplate or MixedInstancesPolicy parameter.")
	}
	if c.p.Has("MixedInstancesPolicy") {
		policy, err := c.policy(c.p.Sub("MixedInstancesPolicy"))
		if err != nil {
			return err
		}
		g.Policy, g.Template = policy, nil
		return nil
	}
	ref, t, err := c.template(c.p.Sub("LaunchTemplate"))
	if err != nil {
		return err
	}
	if t.Data.Get("InstanceType") == "" {
		return invalid("You must use a valid fully-formed launch template. The request must contain the parameter InstanceType")
	}
	g.Template, g.Policy = ref, nil
	return nil
}

// applyPlaces sets the subnets or zones of a request.
func (g *group) applyPlaces(c *call) error {
	var zones []string
	subnets := strings.Split(strings.ReplaceAll(c.p.Get("VPCZoneIdentifier"), " ", ""), ",")
	if subnets[0] == "" {
		all := c.s.cfg.EC2.Zones(c.r.name)
		for _, zone := range c.p.List("AvailabilityZones") {
			if !slices.Contains(all, zone) {
				return invalid("Invalid availability zone: [%s]", zone)
			}
			zones = append(zones, zone)
		}
	} else {
		for _, subnet := range subnets {
			_, zone := c.s.cfg.EC2.SubnetOf(c.r.name, subnet)
			if zone == "" {
				return invalid("The subnet ID '%s' does not exist", subnet)
			}
			zones = append(zones, zone)
		}
	}
	slices.Sort(zones)
	g.Subnets, g.Zones.Items = strings.Join(subnets, ","), slices.Compact(zones)
	return nil
}

// setCapacity sets the limits and the desired capacity of a request.
func (g *group) setCapacity(c *call) error {
	least, err := c.p.Int("MinSize", g.Min)
	if err != nil {
		return err
	}
	most, err := c.p.Int("MaxSize", g.Max)
	if err != nil {
		return err
	}
	desired, err := c.p.Int("DesiredCapacity", min(max(g.Desired, least), most))
	if err != nil {
		return err
	}
	switch {
	case least < 0 || most < 0:
		return invalid("Min bound, %d, and max bound, %d, must not be negative", least, most)
	case least > most:
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", most, least)
	case desired < least || desired > most:
		return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", desired, least, most)
	}
	g.Min, g.Max, g.Desired = least, most, desired
	return nil
}

// changed notes why the desired capacity differs from the one before.
func (g *group) changed(now time.Time, why string, before int) {
	g.change = fmt.Sprintf("At %s %s changing the desired capacity from %d to %d.", second(now), why, before, g.Desired)
}

func updateGroup(c *call) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	next := *g
	if err := next.apply(c); err != nil {
		return nil, err
	}
	if err := next.setCapacity(c); err != nil {
		return nil, err
	}
	before := g.Desired
	*g = next
	if g.Desired != before {
		g.changed(c.now, fmt.Sprintf("a user request update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d", g.Min, g.Max, g.Desired), before)
	}
	g.nextTry = time.Time{}
	return nil, nil
}

func setDesiredCapacity(c *call) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	if err := c.required("DesiredCapacity"); err != nil {
		return nil, err
	}
	desired, err := c.p.Int("DesiredCapacity", 0)
	switch {
	case err != nil:
		return nil, err
	case desired < g.Min:
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", desired, g.Min)
	case desired > g.Max:
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", desired, g.Max)
	}
	before := g.Desired
	g.Desired = desired
	g.changed(c.now, "a user request explicitly set group desired capacity", before)
	g.nextTry = time.Time{}
	return nil, nil
}

func deleteGroup(c *call) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	force := c.p.Bool("ForceDelete", false)
	switch {
	case !force && slices.ContainsFunc(g.instances, func(i *instance) bool { return i.state == terminating }):
		return nil, query.Errorf("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
	case !force && len(g.instances) > 0:
		return nil, query.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	g.deleting, g.Status = true, "Delete in progress"
	g.Min, g.Max, g.Desired = 0, 0, 0
	g.suspend(nil)
	return nil, nil
}

func describeGroups(c *call) (any, error) {
	names := c.p.List("AutoScalingGroupNames")
	var found []*group
	for _, g := range c.r.groups {
		if len(names) == 0 || slices.Contains(names, g.Name) {
			g.Instances.Items = nil
			for _, i := range g.instances {
				g.Instances.Items = append(g.Instances.Items, i.describe())
			}
			found = append(found, g)
		}
	}
	part, next, err := page(c, found)
	return struct {
		Groups query.Members[*group] `xml:"AutoScalingGroups"`
		Next   string                `xml:"NextToken,omitempty"`
	}{part, next}, err
}
