// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// mixedPolicy is a MixedInstancesPolicy: which types a group launches, and how much of
// its capacity is on demand.
type mixedPolicy struct {
	Template struct {
		Spec      templateRef             `xml:"LaunchTemplateSpecification"`
		Overrides query.Members[override] `xml:"Overrides"`
	} `xml:"LaunchTemplate"`
	Distribution distribution `xml:"InstancesDistribution"`
}

type override struct {
	Type     string       `xml:"InstanceType,omitempty"`
	Weight   string       `xml:"WeightedCapacity,omitempty"`
	Template *templateRef `xml:"LaunchTemplateSpecification"`
}

type distribution struct {
	OnDemand  string `xml:"OnDemandAllocationStrategy"`
	Base      int    `xml:"OnDemandBaseCapacity"`
	Above     int    `xml:"OnDemandPercentageAboveBaseCapacity"`
	Spot      string `xml:"SpotAllocationStrategy"`
	SpotPools int    `xml:"SpotInstancePools,omitempty"`
	MaxPrice  string `xml:"SpotMaxPrice,omitempty"`
}

// maxWeight is the largest WeightedCapacity
// (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateOverrides.html).
const maxWeight = 999

// policy parses a MixedInstancesPolicy.
func (c *call) policy(p query.Params) (*mixedPolicy, error) {
	ref, t, err := c.template(p.Sub("LaunchTemplate.LaunchTemplateSpecification"))
	if err != nil {
		return nil, err
	}
	if t.Data.Has("InstanceMarketOptions") {
		return nil, invalid("Incompatible launch template: You cannot use a launch template that is set to request Spot Instances (InstanceMarketOptions) when you configure an Auto Scaling group with a mixed instances policy.")
	}
	m := &mixedPolicy{}
	m.Template.Spec = *ref
	weighted, types := 0, map[string]bool{}
	for _, o := range p.Sub("LaunchTemplate").Items("Overrides") {
		if o.Has("InstanceRequirements") {
			return nil, invalid("The rehearsal does not support InstanceRequirements in overrides.")
		}
		v := override{Type: o.Get("InstanceType"), Weight: o.Get("WeightedCapacity")}
		if o.Has("LaunchTemplateSpecification") {
			if v.Template, _, err = c.template(o.Sub("LaunchTemplateSpecification")); err != nil {
				return nil, err
			}
		}
		if v.Weight != "" {
			weighted++
			if n, err := strconv.Atoi(v.Weight); err != nil || n < 1 || n > maxWeight {
				return nil, invalid("The weighted capacity %s is invalid. Specify a number between 1 and %d.", v.Weight, maxWeight)
			}
		}
		if types[v.Type] {
			return nil, invalid("You cannot specify multiple overrides with the same instance type: %s.", v.Type)
		}
		types[v.Type] = true
		m.Template.Overrides.Items = append(m.Template.Overrides.Items, v)
	}
	if weighted > 0 && weighted < len(types) {
		return nil, invalid("You must specify a weight for all or none of the overrides.")
	}
	if len(types) == 0 && t.Data.Get("InstanceType") == "" {
		return nil, invalid("You must use a valid fully-formed launch template. The request must contain the parameter InstanceType")
	}
	return m, m.Distribution.parse(p.Sub("InstancesDistribution"))
}

func (d *distribution) parse(p query.Params) (err error) {
	d.OnDemand, d.Spot, d.MaxPrice = p.Or("OnDemandAllocationStrategy", "prioritized"), p.Or("SpotAllocationStrategy", "lowest-price"), p.Get("SpotMaxPrice")
	if d.Base, err = p.Int("OnDemandBaseCapacity", 0); err != nil {
		return err
	}
	if d.Above, err = p.Int("OnDemandPercentageAboveBaseCapacity", 100); err != nil {
		return err
	}
	if d.Spot == "lowest-price" {
		if d.SpotPools, err = p.Int("SpotInstancePools", 2); err != nil {
			return err
		}
	}
	switch {
	case !slices.Contains([]string{"prioritized", "lowest-price"}, d.OnDemand):
		return invalid("OnDemandAllocationStrategy is invalid: %s", d.OnDemand)
	case !slices.Contains([]string{"lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}, d.Spot):
		return invalid("SpotAllocationStrategy is invalid: %s", d.Spot)
	case d.Base < 0 || d.Above < 0 || d.Above > 100:
		return invalid("OnDemandBaseCapacity must not be negative, and OnDemandPercentageAboveBaseCapacity must be between 0 and 100.")
	}
	return nil
}

// onDemand returns how much of a capacity is to be on demand.
func (d distribution) onDemand(capacity int) int {
	base := min(d.Base, capacity)
	return base + int(math.Ceil(float64((capacity-base)*d.Above)/100))
}

// template finds the version that a LaunchTemplateSpecification names.
func (c *call) template(p query.Params) (*templateRef, ec2.Template, error) {
	t, err := c.s.cfg.EC2.FindTemplate(c.r.name, p)
	if err != nil {
		return nil, t, invalid("You must use a valid fully-formed launch template. %s", message(err))
	}
	return &templateRef{t.ID, t.Name, p.Get("Version")}, t, nil
}

// message returns the text of an error without its code.
func message(err error) string {
	if e, ok := err.(*query.Error); ok { //nolint:errorlint // services return it unwrapped
		return e.Message
	}
	return err.Error()
}

// choice is a type that a group can launch in a zone.
type choice struct {
	kind   string // empty for that of the template
	weight int
	ref    templateRef
	spot   bool // of a policy: asks for a spot instance
	price  float64
}

// choices returns what a group can launch in a zone, in the order in which to try.
func (g *group) choices(s *Service, regionName, zone string, spot bool) []choice {
	if g.Policy == nil {
		return []choice{{weight: 1, ref: *g.Template}}
	}
	list := g.Policy.Template.Overrides.Items
	if len(list) == 0 {
		list = []override{{}}
	}
	var all []choice
	for _, o := range list {
		v := choice{kind: o.Type, weight: 1, ref: g.Policy.Template.Spec, spot: spot}
		if o.Template != nil {
			v.ref = *o.Template
		}
		if n, err := strconv.Atoi(o.Weight); err == nil {
			v.weight = n
		}
		if spot {
			v.price = s.cfg.EC2.SpotPrice(regionName, o.Type, zone) / float64(v.weight)
		} else {
			v.price = s.cfg.EC2.OnDemandPrice(o.Type) / float64(v.weight)
		}
		all = append(all, v)
	}
	d := g.Policy.Distribution
	if !spot && d.OnDemand == "lowest-price" || spot && strings.Contains(d.Spot, "price") {
		slices.SortStableFunc(all, func(a, b choice) int { return cmp.Compare(a.price, b.price) })
	}
	return all
}

// failed returns the status message of a failed launch.
func (v choice) failed(g *group, err error) string {
	text := fmt.Sprintf("%s Launching EC2 instance failed.", message(err))
	if g.Policy == nil {
		return text
	}
	market := "On-Demand"
	if v.spot {
		market = "Spot"
	}
	code := "InternalError"
	if e, ok := err.(*query.Error); ok { //nolint:errorlint // services return it unwrapped
		code = e.Code
	}
	return fmt.Sprintf("Could not launch %s Instances. %s - %s", market, code, text)
}
