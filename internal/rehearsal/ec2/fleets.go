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
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type launchTemplate struct {
	TemplateID string      `xml:"launchTemplateId"`
	Name       string      `xml:"launchTemplateName"`
	Created    string      `xml:"createTime"`
	CreatedBy  string      `xml:"createdBy"`
	Default    int         `xml:"defaultVersionNumber"`
	Latest     int         `xml:"latestVersionNumber"`
	Tags       api.TagList `xml:"tagSet"`

	data      query.Params // of RunInstances
	createdAt time.Time
}

type templateResponse struct {
	Template *launchTemplate `xml:"launchTemplate"`
}

func createLaunchTemplate(c *call) (any, error) {
	ids, again, err := c.FindByToken()
	if err != nil {
		return nil, err
	}
	if again {
		if t, ok := c.r.templates.Get(ids[0]); ok {
			return templateResponse{t}, nil
		}
	}
	name := c.Params.Get("LaunchTemplateName")
	for _, t := range c.r.templates.All() {
		if t.Name == name {
			return nil, query.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	if err := c.taggable("launch-template"); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("launch-template")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	t := &launchTemplate{
		TemplateID: c.s.ids.Next("lt"), Name: name, Created: api.Stamp(c.Now), CreatedBy: "arn:aws:iam::" + c.s.cfg.AccountID + ":user/rehearsal",
		Default: 1, Latest: 1, Tags: tags, data: c.Params.Sub("LaunchTemplateData"), createdAt: c.Now,
	}
	c.r.templates.Put(t.TemplateID, t)
	c.StoreToken([]string{t.TemplateID})
	return templateResponse{t}, nil
}

// taggable rejects tags of resources that an action does not tag at creation.
func (c *call) taggable(kinds ...string) error {
	for _, spec := range c.Params.Items("TagSpecification") {
		if kind := spec.Get("ResourceType"); !slices.Contains(kinds, kind) {
			return query.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", kind)
		}
	}
	return nil
}

// template returns the launch template that a structure names by id or name.
func (c *call) template(p query.Params) (*launchTemplate, error) {
	id, name := p.Get("LaunchTemplateId"), p.Get("LaunchTemplateName")
	for _, t := range c.r.templates.All() {
		if (t.TemplateID == id || t.Name == name) && !c.IsNew(t.createdAt) {
			return t, nil
		}
	}
	if name != "" {
		return nil, query.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	return nil, query.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

// withTemplate merges the parameters of a launch over those of its launch template.
func (c *call) withTemplate(p query.Params) (query.Params, error) {
	if !p.Has("LaunchTemplate") {
		return p, nil
	}
	t, err := c.template(p.Sub("LaunchTemplate"))
	if err != nil {
		return nil, err
	}
	return p.Over(t.data), nil
}

func deleteLaunchTemplate(c *call) (any, error) {
	t, err := c.template(c.Params)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.templates.Remove(t.TemplateID)
	return templateResponse{t}, nil
}

func describeLaunchTemplates(c *call) (any, error) {
	ids, names := c.Params.List("LaunchTemplateId"), c.Params.List("LaunchTemplateName")
	for _, id := range ids {
		if _, err := c.template(query.Params{"LaunchTemplateId": id}); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if _, err := c.template(query.Params{"LaunchTemplateName": name}); err != nil {
			return nil, err
		}
	}
	var found []*launchTemplate
	for _, t := range c.r.templates.All() {
		ok, err := c.Matches(t.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{"launch-template-name": t.Name, "create-time": t.Created}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && !c.IsNew(t.createdAt) && api.Contains(ids, t.TemplateID) && api.Contains(names, t.Name) {
			found = append(found, t)
		}
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		Templates query.Set[*launchTemplate] `xml:"launchTemplates"`
		Next      string                     `xml:"nextToken,omitempty"`
	}{set, next}, err
}

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
			i.Tags.Set(api.Tag{Key: "aws:ec2:fleet-id", Value: f.id}, api.Tag{Key: "aws:ec2launchtemplate:id", Value: pool.override.Template.Spec.ID}, api.Tag{Key: "aws:ec2launchtemplate:version", Value: "1"})
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
		t, err := c.template(spec)
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
			a := pool{params: o.Over(t.data)}
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
			a.override.Template.Spec.ID, a.override.Template.Spec.Version = t.TemplateID, "1"
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
			if profile := t.data.Sub("IamInstanceProfile"); len(profile) > 0 && (t.TemplateID == spec.Get("LaunchTemplateId") || t.Name == spec.Get("LaunchTemplateName")) {
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
