// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"fmt"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Lifecycle states of an instance.
const (
	pending     = "Pending"
	inService   = "InService"
	terminating = "Terminating"
)

// instance is an instance of a group.
type instance struct {
	id       string
	kind     string
	zone     string
	subnet   string
	image    string
	spot     bool
	weight   int
	weighted bool // of a policy with weights
	template ec2.Template
	state    string
	since    time.Time // when it came into service
	launched time.Time
	activity *activity // under way
	protect  bool      // from scale-in

	unhealthy string // why it is to be replaced, empty for a healthy instance
	atRisk    string // why its replacement is launched before it ends
}

type described struct {
	ID        string      `xml:"InstanceId"`
	Kind      string      `xml:"InstanceType"`
	Zone      string      `xml:"AvailabilityZone"`
	State     string      `xml:"LifecycleState"`
	Health    string      `xml:"HealthStatus"`
	Template  templateRef `xml:"LaunchTemplate"`
	Image     string      `xml:"ImageId,omitempty"`
	Protected bool        `xml:"ProtectedFromScaleIn"`
	Weight    string      `xml:"WeightedCapacity,omitempty"`
}

func (i *instance) describe() described {
	v := described{
		ID: i.id, Kind: i.kind, Zone: i.zone, State: i.state, Health: "Healthy", Protected: i.protect, Image: i.image,
		Template: templateRef{i.template.ID, i.template.Name, i.template.Version},
	}
	if i.unhealthy != "" {
		v.Health = "Unhealthy"
	}
	if i.weighted {
		v.Weight = strconv.Itoa(i.weight)
	}
	return v
}

// active reports whether an instance counts for the capacity of its group.
func (i *instance) active() bool { return i.state != terminating }

// findInstance returns the requested instance and its group.
func (c *call) findInstance() (*group, *instance, error) {
	if err := c.required("InstanceId"); err != nil {
		return nil, nil, err
	}
	id := c.p.Get("InstanceId")
	for _, g := range c.r.groups {
		for _, i := range g.instances {
			if i.id == id {
				return g, i, nil
			}
		}
	}
	return nil, nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", id)
}

// setInstanceHealth marks an instance, whose group then replaces it. Within the grace
// period of its group, a request that respects it changes nothing.
func setInstanceHealth(c *call) (any, error) {
	g, i, err := c.findInstance()
	if err != nil {
		return nil, err
	}
	status := c.p.Get("HealthStatus")
	if status != "Healthy" && status != "Unhealthy" {
		return nil, invalid("HealthStatus is %q, expected Healthy or Unhealthy", status)
	}
	early := i.state == pending || c.now.Before(i.since.Add(time.Duration(g.Grace)*time.Second))
	grace := early && g.Grace > 0 && c.p.Bool("ShouldRespectGracePeriod", true)
	switch {
	case i.state == terminating:
		return nil, invalid("Instance Id not found - Instance %s is terminating.", i.id)
	case status == "Healthy":
		i.unhealthy = ""
	case !grace && i.unhealthy == "":
		i.unhealthy = "in response to a user health-check"
	}
	return query.Raw{}, nil
}

func terminateInstance(c *call) (any, error) {
	g, i, err := c.findInstance()
	if err != nil {
		return nil, err
	}
	if err := c.required("ShouldDecrementDesiredCapacity"); err != nil {
		return nil, err
	}
	if i.state == terminating {
		return nil, query.Errorf("ScalingActivityInProgress", "Activity %s is in progress.", i.activity.ID)
	}
	cause := fmt.Sprintf("At %s instance %s was taken out of service in response to a user request", second(c.now), i.id)
	if c.p.Bool("ShouldDecrementDesiredCapacity", false) {
		if g.Desired-i.weight < g.Min {
			return nil, invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
		}
		cause += fmt.Sprintf(", shrinking the capacity from %d to %d", g.Desired, g.Desired-i.weight)
		g.Desired -= i.weight
	}
	g.terminate(c.s, c.r, c.now, i, cause+".")
	return struct{ Activity *activity }{i.activity}, nil
}

func describeInstances(c *call) (any, error) {
	type detailed struct {
		described
		Group string `xml:"AutoScalingGroupName"`
	}
	wanted := map[string]bool{}
	for _, id := range c.p.List("InstanceIds") {
		wanted[id] = true
	}
	var found []detailed
	for _, g := range c.r.groups {
		for _, i := range g.instances {
			if len(wanted) == 0 || wanted[i.id] {
				found = append(found, detailed{i.describe(), g.Name})
				found[len(found)-1].Health = map[bool]string{true: "HEALTHY", false: "UNHEALTHY"}[i.unhealthy == ""] // upper case in this action only
			}
		}
	}
	part, next, err := page(c, found)
	return struct {
		Instances query.Members[detailed] `xml:"AutoScalingInstances"`
		Next      string                  `xml:"NextToken,omitempty"`
	}{part, next}, err
}
