// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"errors"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type launchTemplate struct {
	TemplateID string  `xml:"launchTemplateId"`
	Name       string  `xml:"launchTemplateName"`
	Created    string  `xml:"createTime"`
	CreatedBy  string  `xml:"createdBy"`
	Default    int     `xml:"defaultVersionNumber"`
	Latest     int     `xml:"latestVersionNumber"`
	Tags       tagList `xml:"tagSet"`

	data query.Params // of RunInstances
}

type templateAnswer struct {
	Template *launchTemplate `xml:"launchTemplate"`
}

func createLaunchTemplate(c *call) (any, error) {
	name := c.p.Get("LaunchTemplateName")
	for _, t := range c.r.templates.all() {
		if t.Name == name {
			return nil, query.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	tags, err := c.tagsFor("launch-template")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	t := &launchTemplate{
		TemplateID: c.s.ids.next("lt"), Name: name, Created: stamp(c.now), CreatedBy: "arn:aws:iam::" + c.s.cfg.AccountID + ":user/rehearsal",
		Default: 1, Latest: 1, Tags: tags, data: c.p.Sub("LaunchTemplateData"),
	}
	c.r.templates.put(t.TemplateID, t)
	return templateAnswer{t}, nil
}

// template returns the launch template that a structure names by id or name.
func (c *call) template(p query.Params) (*launchTemplate, error) {
	id, name := p.Get("LaunchTemplateId"), p.Get("LaunchTemplateName")
	for _, t := range c.r.templates.all() {
		if t.TemplateID == id || t.Name == name {
			return t, nil
		}
	}
	if name != "" {
		return nil, query.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	return nil, query.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

// withTemplate lays the parameters of a launch over those of its template.
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
	t, err := c.template(c.p)
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	c.r.templates.remove(t.TemplateID)
	return templateAnswer{t}, nil
}

func describeLaunchTemplates(c *call) (any, error) {
	ids, names := c.p.List("LaunchTemplateId"), c.p.List("LaunchTemplateName")
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
	for _, t := range c.r.templates.all() {
		ok, err := c.matches(t.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{"launch-template-name": t.Name, "create-time": t.Created}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(ids, t.TemplateID) && contains(names, t.Name) {
			found = append(found, t)
		}
	}
	set, next, err := page(c, found, 1)
	return struct {
		Templates query.Set[*launchTemplate] `xml:"launchTemplates"`
		Next      string                     `xml:"nextToken,omitempty"`
	}{set, next}, err
}

// fleet is remembered for its tags only: one of type instant is over as soon
// as it is made.
type fleet struct {
	id        string
	tags      tagList
	instances []string
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

// createFleet launches from the first override that works; the others answer
// as errors beside it, as those of EC2 do.
func createFleet(c *call) (any, error) {
	if kind := c.p.Or("Type", "maintain"); kind != "instant" {
		return nil, query.Errorf("InvalidParameterValue", "The rehearsal makes fleets of type instant only, not %s.", kind)
	}
	target := c.p.Sub("TargetCapacitySpecification")
	count, err := target.Int("TotalTargetCapacity", 1)
	if err != nil {
		return nil, err
	}
	lifecycle := target.Or("DefaultTargetCapacityType", "on-demand")
	tags, err := c.tagsFor("fleet")
	if err != nil {
		return nil, err
	}
	instanceTags := query.Params{}
	for n, spec := range c.p.Items("TagSpecification") {
		if spec.Get("ResourceType") == "instance" {
			for k, v := range spec {
				instanceTags[fmt.Sprintf("TagSpecification.%d.%s", n+1, k)] = v
			}
		}
	}
	type attempt struct {
		params   query.Params
		override fleetOverride
	}
	var attempts []attempt
	for _, config := range c.p.Items("LaunchTemplateConfigs") {
		t, err := c.template(config.Sub("LaunchTemplateSpecification"))
		if err != nil {
			return nil, err
		}
		overrides := config.Items("Overrides")
		if len(overrides) == 0 {
			overrides = []query.Params{{}}
		}
		for _, o := range overrides {
			a := attempt{params: o.Over(t.data)}
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
			} else if c.p.Has("TargetCapacitySpecification.DefaultTargetCapacityType") {
				delete(a.params, "InstanceMarketOptions.MarketType")
			}
			a.override.Lifecycle = lifecycle
			a.override.Template.Spec.ID, a.override.Template.Spec.Version = t.TemplateID, "1"
			a.override.Template.Overrides.Type, a.override.Template.Overrides.Subnet = o.Get("InstanceType"), o.Get("SubnetId")
			a.override.Template.Overrides.Zone = o.Get("AvailabilityZone")
			attempts = append(attempts, a)
		}
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	answer := struct {
		ID        string                   `xml:"fleetId"`
		Errors    query.Set[fleetError]    `xml:"errorSet"`
		Instances query.Set[fleetInstance] `xml:"fleetInstanceSet"`
	}{ID: c.s.ids.next("fleet")}
	f := &fleet{id: answer.ID, tags: tags}
	for _, a := range attempts {
		made, err := c.launch(a.params, count)
		if err != nil {
			var e *query.Error
			if !errors.As(err, &e) {
				return nil, err
			}
			answer.Errors.Items = append(answer.Errors.Items, fleetError{a.override, e.Code, e.Message})
			continue
		}
		out := fleetInstance{fleetOverride: a.override, Type: made[0].InstanceType}
		for _, i := range made {
			out.IDs.Items = append(out.IDs.Items, i.InstanceID)
			i.Tags.set(tag{"aws:ec2:fleet-id", answer.ID}, tag{"aws:ec2launchtemplate:id", a.override.Template.Spec.ID}, tag{"aws:ec2launchtemplate:version", "1"})
		}
		f.instances = out.IDs.Items
		answer.Instances.Items = append(answer.Instances.Items, out)
		break
	}
	c.r.fleets.put(f.id, f)
	return answer, nil
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
	if err := c.commit(); err != nil {
		return nil, err
	}
	for _, id := range c.p.List("FleetId") {
		f, ok := c.r.fleets.get(id)
		if !ok {
			continue
		}
		c.r.fleets.remove(id)
		answer.Done.Items = append(answer.Done.Items, fleetDeleted{"deleted_terminating", "active", id})
		for _, i := range f.instances {
			if v, ok := c.r.instances.get(i); ok && v.State != terminated && v.State != shuttingDown {
				v.State = shuttingDown
				v.meter.end(c.now)
				v.turn = &turn{terminated, c.now.Add(c.s.cfg.Pace.Terminated), v.box.end()}
			}
		}
	}
	return answer, nil
}

type spotRequest struct {
	Created  string  `xml:"createTime"`
	Instance string  `xml:"instanceId"`
	Product  string  `xml:"productDescription"`
	ID       string  `xml:"spotInstanceRequestId"`
	State    string  `xml:"state"`
	Tags     tagList `xml:"tagSet"`
	Kind     string  `xml:"type"`
}

func describeSpotInstanceRequests(c *call) (any, error) {
	var found []spotRequest
	for _, i := range c.r.instances.all() {
		if i.SpotRequestID == "" || !contains(c.p.List("SpotInstanceRequestId"), i.SpotRequestID) {
			continue
		}
		r := spotRequest{i.Launched, i.InstanceID, "Linux/UNIX", i.SpotRequestID, "active", i.spotTags, "one-time"}
		if i.State == terminated || i.State == shuttingDown {
			r.State = "closed"
		}
		ok, err := c.matches(i.spotTags, func(name string) ([]string, bool) {
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
	set, next, err := page(c, found, 5)
	return struct {
		Requests query.Set[spotRequest] `xml:"spotInstanceRequestSet"`
		Next     string                 `xml:"nextToken,omitempty"`
	}{set, next}, err
}
