// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// fleet is kept for its tags, and for a repeated request with its token. A fleet of type
// instant ends with its creation.
type fleet struct {
	id        string
	tags      api.TagList
	instances []string
	answer    fleetAnswer
}

type fleetAnswer struct {
	ID        string                   `xml:"fleetId"`
	Errors    query.Set[fleetError]    `xml:"errorSet"`
	Instances query.Set[fleetInstance] `xml:"fleetInstanceSet"`
}

// pool is a type and a place of a fleet.
type pool struct {
	params   query.Params // of RunInstances
	override fleetOverride
	priority float64
	price    float64
}

// strategies order the pools in which a fleet of spot instances is launched. All
// pools of the rehearsal have the same capacity.
var strategies = map[string]func(a, b pool) int{
	"lowest-price":                   byPrice,
	"price-capacity-optimized":       byPrice,
	"diversified":                    byPrice,
	"capacity-optimized":             func(a, b pool) int { return 0 },
	"capacity-optimized-prioritized": func(a, b pool) int { return cmp.Compare(a.priority, b.priority) },
}

func byPrice(a, b pool) int { return cmp.Compare(a.price, b.price) }

// spotPriceOf returns the spot price of a pool; infinite if the launch will fail.
func (c *call) spotPriceOf(p query.Params) float64 {
	kind, err := catalog.FindType(p.Get("InstanceType"))
	if err != nil {
		return math.Inf(1)
	}
	card := query.Params{}
	if cards := p.Items("NetworkInterface"); len(cards) > 0 {
		card = cards[0]
	}
	net, err := c.Place(p, card, kind)
	if err != nil {
		return math.Inf(1)
	}
	return kind.SpotUSD(slices.IndexFunc(c.r.Zones, func(z network.Zone) bool { return z.Name == net.Zone }))
}

type fleetOverride struct {
	Template struct {
		Spec struct {
			ID      string `xml:"launchTemplateId"`
			Version string `xml:"version"`
		} `xml:"launchTemplateSpecification"`
		Overrides struct {
			Type   string `xml:"instanceType,omitempty"`
			Subnet string `xml:"subnetId,omitempty"`
			Zone   string `xml:"availabilityZone,omitempty"`
		} `xml:"overrides"`
	} `xml:"launchTemplateAndOverrides"`
	Lifecycle string `xml:"lifecycle"`
}

type fleetInstance struct {
	fleetOverride
	IDs  query.Set[string] `xml:"instanceIds"`
	Type string            `xml:"instanceType"`
}

type fleetError struct {
	fleetOverride
	Code    string `xml:"errorCode"`
	Message string `xml:"errorMessage"`
}

// createFleet launches in the first pool that accepts the launch, in the order of the
// allocation strategy. It returns the errors of the pools before, like EC2.
func createFleet(c *call) (any, error) {
	if kind := c.Params.Or("Type", "maintain"); kind != "instant" {
		return nil, query.Errorf("InvalidParameterValue", "The rehearsal supports only fleets of type instant, not %s.", kind)
	}
	ids, again, err := c.FindByToken()
	if err != nil {
		return nil, err
	}
	if again {
		if f, ok := c.r.fleets.Get(ids[0]); ok {
			return f.answer, nil
		}
	}
	count, err := c.Params.Int("TargetCapacitySpecification.TotalTargetCapacity", 1)
	if err != nil {
		return nil, err
	}
	if err := c.taggable("fleet", "instance"); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("fleet")
	if err != nil {
		return nil, err
	}
	pools, err := c.pools()
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	f := &fleet{id: c.s.ids.Next("fleet"), tags: tags}
	f.answer.ID = f.id
	for _, pool := range pools {
		made, err := c.launchPool(pool.params, count)
		if err != nil {
			var e *query.Error
			if !errors.As(err, &e) {
				return nil, err
			}
			f.answer.Errors.Items = append(f.answer.Errors.Items, fleetError{pool.override, e.Code, e.Message})
			continue
		}
		out := fleetInstance{fleetOverride: pool.override, Type: made[0].InstanceType}
		for _, i := range made {
			out.IDs.Items = append(out.IDs.Items, i.InstanceID)
			i.Tags.Set(api.Tag{Key: "aws:ec2:fleet-id", Value: f.id}, api.Tag{Key: "aws:ec2launchtemplate:id", Value: pool.override.Template.Spec.ID}, api.Tag{Key: "aws:ec2launchtemplate:version", Value: pool.override.Template.Spec.Version})
		}
		f.instances = out.IDs.Items
		f.answer.Instances.Items = append(f.answer.Instances.Items, out)
		break
	}
	c.r.fleets.Put(f.id, f)
	c.StoreToken([]string{f.id})
	return f.answer, nil
}

// launchPool launches in a pool of a fleet. Faults of RunInstances apply to pools.
func (c *call) launchPool(p query.Params, count int) ([]*instanceT, error) {
	if c.s.cfg.Refuse != nil {
		if err := c.s.cfg.Refuse(c.r.Name, p); err != nil {
			return nil, err
		}
	}
	return c.launch(p, count)
}

// pools returns the pools of a fleet in the order in which to launch.
func (c *call) pools() ([]pool, error) {
	lifecycle := c.Params.Or("TargetCapacitySpecification.DefaultTargetCapacityType", "on-demand")
	strategy := c.Params.Or("SpotOptions.AllocationStrategy", "lowest-price")
	order, ok := strategies[strategy]
	if !ok {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter AllocationStrategy is invalid.", strategy)
	}
	instanceTags := query.Params{}
	for n, spec := range c.Params.Items("TagSpecification") {
		if spec.Get("ResourceType") == "instance" {
			for k, v := range spec {
				instanceTags[fmt.Sprintf("TagSpecification.%d.%s", n+1, k)] = v
			}
		}
	}
	var pools []pool
	for _, config := range c.Params.Items("LaunchTemplateConfigs") {
		spec := config.Sub("LaunchTemplateSpecification")
		t, version, err := c.templateVersion(spec)
		if err != nil {
			return nil, err
		}
		if spec.Get("Version") == "" {
			return nil, query.Errorf("MissingParameter", "The request must contain the parameter Version")
		}
		overrides := config.Items("Overrides")
		if len(overrides) == 0 {
			overrides = []query.Params{{}}
		}
		for _, o := range overrides {
			a := pool{params: o.Over(version.data)}
			if text := o.Get("Priority"); text != "" {
				if a.priority, err = strconv.ParseFloat(text, 64); err != nil || a.priority < 0 {
					return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter Priority is invalid.", text)
				}
			}
			if o.Has("AvailabilityZone") {
				a.params["Placement.AvailabilityZone"] = o.Get("AvailabilityZone")
			}
			if cards := a.params.Items("NetworkInterface"); len(cards) > 0 && o.Has("SubnetId") {
				a.params["NetworkInterface.1.SubnetId"] = o.Get("SubnetId")
			}
			if len(instanceTags) > 0 && !a.params.Has("TagSpecification") {
				a.params = instanceTags.Over(a.params)
			}
			if lifecycle == "spot" {
				a.params["InstanceMarketOptions.MarketType"] = "spot"
				if price := o.Get("MaxPrice"); price != "" {
					a.params["InstanceMarketOptions.SpotOptions.MaxPrice"] = price
				}
				a.price = c.spotPriceOf(a.params)
			} else if c.Params.Has("TargetCapacitySpecification.DefaultTargetCapacityType") {
				delete(a.params, "InstanceMarketOptions.MarketType")
			}
			a.override.Lifecycle = lifecycle
			a.override.Template.Spec.ID, a.override.Template.Spec.Version = t.TemplateID, strconv.Itoa(version.number)
			a.override.Template.Overrides.Type, a.override.Template.Overrides.Subnet = o.Get("InstanceType"), o.Get("SubnetId")
			a.override.Template.Overrides.Zone = o.Get("AvailabilityZone")
			pools = append(pools, a)
		}
	}
	if lifecycle == "spot" {
		slices.SortStableFunc(pools, order)
	}
	return pools, nil
}

// WithProfile adds the instance profile of a fleet's launch template to its parameters,
// as IAM also checks the launch.
func (s *Service) WithProfile(regionName string, p query.Params) query.Params {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[regionName]
	if r == nil {
		return p
	}
	for _, config := range p.Items("LaunchTemplateConfigs") {
		spec := config.Sub("LaunchTemplateSpecification")
		for _, t := range r.templates.All() {
			if t.TemplateID != spec.Get("LaunchTemplateId") && t.Name != spec.Get("LaunchTemplateName") {
				continue
			}
			v, err := t.version(spec.Get("Version"))
			if err != nil {
				continue // createFleet reports it
			}
			if profile := v.data.Sub("IamInstanceProfile"); len(profile) > 0 {
				return query.Params{"IamInstanceProfile.Name": profile.Or("Name", profile.Get("Arn"))}.Over(p)
			}
		}
	}
	return p
}

type fleetDeleted struct {
	Current  string `xml:"currentFleetState"`
	Previous string `xml:"previousFleetState"`
	ID       string `xml:"fleetId"`
}

func deleteFleets(c *call) (any, error) {
	answer := struct {
		Done query.Set[fleetDeleted] `xml:"successfulFleetDeletionSet"`
		Left query.Set[struct{}]     `xml:"unsuccessfulFleetDeletionSet"`
	}{}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, id := range c.Params.List("FleetId") {
		f, ok := c.r.fleets.Get(id)
		if !ok {
			continue
		}
		c.r.fleets.Remove(id)
		answer.Done.Items = append(answer.Done.Items, fleetDeleted{"deleted_terminating", "active", id})
		for _, i := range f.instances {
			if v, ok := c.r.instances.Get(i); ok && v.State != terminated && v.State != shuttingDown {
				v.State = shuttingDown
				v.meter.end(c.Now)
				v.transition = &transition{terminated, c.Now.Add(c.s.cfg.Pace.Terminated), v.queue.End()}
			}
		}
	}
	return answer, nil
}

type spotRequest struct {
	Created  string      `xml:"createTime"`
	Instance string      `xml:"instanceId"`
	Product  string      `xml:"productDescription"`
	ID       string      `xml:"spotInstanceRequestId"`
	State    string      `xml:"state"`
	Tags     api.TagList `xml:"tagSet"`
	Kind     string      `xml:"type"`
}

func describeSpotInstanceRequests(c *call) (any, error) {
	var found []spotRequest
	for _, i := range c.r.instances.All() {
		if i.SpotRequestID == "" || !api.Contains(c.Params.List("SpotInstanceRequestId"), i.SpotRequestID) {
			continue
		}
		r := spotRequest{i.Launched, i.InstanceID, "Linux/UNIX", i.SpotRequestID, "active", i.spotTags, "one-time"}
		if i.State == terminated || i.State == shuttingDown {
			r.State = "closed"
		}
		ok, err := c.Matches(i.spotTags, func(name string) ([]string, bool) {
			value, ok := map[string]string{"instance-id": r.Instance, "spot-instance-request-id": r.ID, "state": r.State, "type": r.Kind}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, r)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Requests query.Set[spotRequest] `xml:"spotInstanceRequestSet"`
		Next     string                 `xml:"nextToken,omitempty"`
	}{set, next}, err
}
