// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

const (
	selfManaged    = "SELF_MANAGED"
	serviceManaged = "SERVICE_MANAGED"
	administration = "AWSCloudFormationStackSetAdministrationRole"
	execution      = "AWSCloudFormationStackSetExecutionRole"
)

type stackSet struct {
	id, name, arn, description string
	status                     string // ACTIVE or DELETED
	template                   *template.Template
	parameters                 map[string]string
	generation                 int // version of template and parameters
	capabilities               []string
	tags                       []tag
	administration, execution  string // roles
	model                      string // permission model
	autoDeployment             *autoDeployment
	managed                    bool // ManagedExecution
	token                      string
	delegated                  bool // created by a delegated administrator
	instances                  []*instance
	operations                 []*operation // oldest first
}

type tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

type autoDeployment struct {
	Enabled bool  `xml:"Enabled"`
	Retain  *bool `xml:"RetainStacksOnAccountRemoval"`
}

type managedExecution struct {
	Active bool `xml:"Active"`
}

// find returns the requested set, by name or id. Delegated administrators have their
// own list of sets.
func (c *call) find() (*stackSet, error) {
	if err := c.required("StackSetName"); err != nil {
		return nil, err
	}
	name := c.p.Get("StackSetName")
	for _, set := range c.r.sets {
		if set.delegated == c.delegated() && (set.id == name || set.name == name && set.status == "ACTIVE") {
			return set, nil
		}
	}
	return nil, failed(404, "StackSetNotFoundException", "StackSet %s not found", name)
}

// delegated reports whether the caller acts as a delegated administrator.
func (c *call) delegated() bool { return c.p.Get("CallAs") == "DELEGATED_ADMIN" }

// notEnabled returns CloudFormation's status reason for an account without the roles.
func (set *stackSet) notEnabled(account string) string {
	return "Account " + account + " should have '" + cmp.Or(set.execution, execution) + "' role with trust relationship to Role '" +
		cmp.Or(set.administration[strings.LastIndexByte(set.administration, '/')+1:], administration) + "'."
}

// administration returns the requested customized administrator role. The default role,
// which DescribeStackSet reports for other sets, does not count as one.
func (c *call) administration() string {
	role := c.p.Get("AdministrationRoleARN")
	if role == "arn:aws:iam::"+c.s.cfg.AccountID+":role/"+administration {
		return ""
	}
	return role
}

func createStackSet(c *call) (any, error) {
	if err := c.required("StackSetName"); err != nil {
		return nil, err
	}
	name, token := c.p.Get("StackSetName"), c.p.Get("ClientRequestToken")
	if !validName(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'stackSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	if set, err := c.find(); err == nil {
		if token != "" && set.token == token {
			return created{set.id}, nil
		}
		return nil, failed(409, "NameAlreadyExistsException", "StackSet %s already exists", name)
	}
	set := &stackSet{
		id: name + ":" + c.s.uuid(), name: name, status: "ACTIVE", token: token, model: c.p.Or("PermissionModel", selfManaged), delegated: c.delegated(),
		administration: c.administration(),
	}
	set.arn = "arn:aws:cloudformation:" + c.regionName + ":" + c.s.cfg.AccountID + ":stackset/" + set.id
	auto := c.p.Sub("AutoDeployment")
	switch {
	case set.model != selfManaged && set.model != serviceManaged:
		return nil, invalid("1 validation error detected: Value '%s' at 'permissionModel' failed to satisfy constraint: Member must satisfy enum value set: [SERVICE_MANAGED, SELF_MANAGED]", set.model)
	case set.model == selfManaged && c.delegated():
		return nil, invalid("You can only call StackSets with SERVICE_MANAGED permission model as a delegated administrator")
	case set.model == selfManaged && len(auto) > 0:
		return nil, invalid("AutoDeployment is not supported for StackSets with SELF_MANAGED permission model")
	case set.model == serviceManaged && !auto.Has("Enabled"):
		return nil, invalid("AutoDeployment must be enabled or disabled for StackSets with SERVICE_MANAGED permission model")
	case set.model == serviceManaged && (set.administration != "" || c.p.Get("ExecutionRoleName") != ""):
		return nil, invalid("Roles are not supported for StackSets with SERVICE_MANAGED permission model")
	}
	t, err := c.template()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	values, err := requestParameters(c.p.Items("Parameters"), nil)
	if err != nil {
		return nil, err
	}
	if err := set.setTemplate(c, t, values); err != nil {
		return nil, err
	}
	set.setAttributes(c)
	c.r.sets = append(c.r.sets, set)
	return created{set.id}, nil
}

type created struct {
	ID string `xml:"StackSetId"`
}

// setTemplate sets the template, parameters and capabilities of the set, or changes
// nothing on an error.
func (set *stackSet) setTemplate(c *call, t *template.Template, values map[string]string) error {
	capabilities := c.p.List("Capabilities")
	all, err := t.Values(values)
	if err != nil {
		return err
	}
	if err := t.Allowed(capabilities); err != nil {
		return err
	}
	set.template, set.parameters, set.capabilities = t, all, capabilities
	return nil
}

// setAttributes applies the request's settings of the set itself.
func (set *stackSet) setAttributes(c *call) {
	p := c.p
	set.execution = p.Or("ExecutionRoleName", set.execution)
	set.description = p.Or("Description", set.description)
	if p.Has("Tags") {
		set.tags = nil
		for _, t := range p.Items("Tags") {
			set.tags = append(set.tags, tag{t.Get("Key"), t.Get("Value")})
		}
	}
	if auto := p.Sub("AutoDeployment"); len(auto) > 0 {
		set.autoDeployment = &autoDeployment{Enabled: auto.Bool("Enabled", false)}
		if auto.Has("RetainStacksOnAccountRemoval") {
			retain := auto.Bool("RetainStacksOnAccountRemoval", false)
			set.autoDeployment.Retain = &retain
		}
	}
	if p.Has("ManagedExecution") {
		set.managed = p.Bool("ManagedExecution.Active", false)
	}
}

func deleteStackSet(c *call) (any, error) {
	set, err := c.find()
	switch {
	case err != nil || set.status == "DELETED":
		return nil, nil //nolint:nilerr // deleting a missing set succeeds
	case set.busy():
		return nil, inProgress()
	case len(set.instances) > 0:
		return nil, failed(409, "StackSetNotEmptyException", "StackSet is not empty")
	}
	set.status = "DELETED"
	return nil, nil
}

type describedSet struct {
	Name           string                   `xml:"StackSetName"`
	ID             string                   `xml:"StackSetId"`
	Description    string                   `xml:"Description,omitempty"`
	Status         string                   `xml:"Status"`
	Body           string                   `xml:"TemplateBody"`
	Parameters     query.Members[parameter] `xml:"Parameters"`
	Capabilities   query.Members[string]    `xml:"Capabilities"`
	Tags           query.Members[tag]       `xml:"Tags"`
	ARN            string                   `xml:"StackSetARN"`
	Administration string                   `xml:"AdministrationRoleARN,omitempty"`
	Execution      string                   `xml:"ExecutionRoleName,omitempty"`
	AutoDeployment *autoDeployment          `xml:"AutoDeployment"`
	Model          string                   `xml:"PermissionModel"`
	Units          query.Members[string]    `xml:"OrganizationalUnitIds"`
	Managed        managedExecution         `xml:"ManagedExecution"`
	Regions        query.Members[string]    `xml:"Regions"`
}

func describeStackSet(c *call) (any, error) {
	set, err := c.find()
	if err != nil {
		return nil, err
	}
	d := describedSet{
		Name: set.name, ID: set.id, Description: set.description, Status: set.status, Body: returned(set.template.Body),
		Parameters: display(set.template, set.parameters), Capabilities: query.Members[string]{Items: set.capabilities}, Tags: query.Members[tag]{Items: set.tags},
		ARN: set.arn, AutoDeployment: set.autoDeployment, Model: set.model, Managed: managedExecution{set.managed},
	}
	if set.model == selfManaged {
		d.Administration = cmp.Or(set.administration, "arn:aws:iam::"+c.s.cfg.AccountID+":role/"+administration)
		d.Execution = cmp.Or(set.execution, execution)
	}
	var regions, units []string
	for _, i := range set.instances {
		regions = append(regions, i.region)
		if i.unit != "" {
			units = append(units, i.unit)
		}
	}
	slices.Sort(regions)
	slices.Sort(units)
	d.Regions.Items, d.Units.Items = slices.Compact(regions), slices.Compact(units)
	return struct {
		Set describedSet `xml:"StackSet"`
	}{d}, nil
}

type setSummary struct {
	Name           string           `xml:"StackSetName"`
	ID             string           `xml:"StackSetId"`
	Description    string           `xml:"Description,omitempty"`
	Status         string           `xml:"Status"`
	AutoDeployment *autoDeployment  `xml:"AutoDeployment"`
	Model          string           `xml:"PermissionModel"`
	Drift          string           `xml:"DriftStatus"`
	Managed        managedExecution `xml:"ManagedExecution"`
}

func listStackSets(c *call) (any, error) {
	var all []setSummary
	for _, set := range c.r.sets {
		if status := c.p.Get("Status"); set.delegated == c.delegated() && (status == "" || status == set.status) {
			all = append(all, setSummary{set.name, set.id, set.description, set.status, set.autoDeployment, set.model, "NOT_CHECKED", managedExecution{set.managed}})
		}
	}
	part, next, err := page(c, all)
	return listed[setSummary]{part, next}, err
}

// listed is the response of every list action.
type listed[T any] struct {
	Summaries query.Members[T] `xml:"Summaries"`
	Next      string           `xml:"NextToken,omitempty"`
}

// Set describes a stack set in the inventory.
type Set struct {
	ID, Name string
	State    string // ACTIVE, or the status of the operation under way
	Tags     map[string]string
}

// Sets returns the existing stack sets by region.
func (s *Service) Sets() map[string][]Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
	out := map[string][]Set{}
	for name, r := range s.regions {
		for _, set := range r.sets {
			if set.status == "DELETED" {
				continue
			}
			v := Set{ID: set.id, Name: set.name, State: set.status}
			for _, o := range set.operations {
				if !o.done() {
					v.State = o.status
					break
				}
			}
			for _, t := range set.tags {
				if v.Tags == nil {
					v.Tags = map[string]string{}
				}
				v.Tags[t.Key] = t.Value
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}

// Stack is a stack that a stack set created in an account and a region.
type Stack struct {
	Account, Region string
	Status          string            // of the instance: CURRENT, OUTDATED, INOPERABLE
	Body            string            // template of the stack; empty until it exists
	Parameters      map[string]string // parameters of the stack
	Changed         time.Time         // time of the last change
}

// Stacks returns the stacks of a stack set in the caller's account, ordered by account
// and region.
func (s *Service) Stacks(region, set string) []Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
	c := &call{s: s, r: s.regions[region], regionName: region, p: query.Params{"StackSetName": set}}
	if c.r == nil {
		return nil
	}
	found, err := c.find()
	if err != nil {
		return nil
	}
	var list []Stack
	for _, i := range found.sorted() {
		list = append(list, Stack{i.account, i.region, i.status, i.body, i.parameters, i.changed})
	}
	return list
}
