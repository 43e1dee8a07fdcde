// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stack

import (
	"maps"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// hidden is the shown value of a NoEcho parameter.
const hidden = "****"

type described struct {
	ID           string                         `xml:"StackId"`
	Name         string                         `xml:"StackName"`
	Description  string                         `xml:"Description,omitempty"`
	Parameters   query.Members[parameter]       `xml:"Parameters"`
	Created      string                         `xml:"CreationTime"`
	Updated      string                         `xml:"LastUpdatedTime,omitempty"`
	Deleted      string                         `xml:"DeletionTime,omitempty"`
	Status       string                         `xml:"StackStatus"`
	Reason       string                         `xml:"StackStatusReason,omitempty"`
	NoRollback   bool                           `xml:"DisableRollback"`
	Capabilities query.Members[string]          `xml:"Capabilities"`
	Outputs      query.Members[template.Output] `xml:"Outputs"`
	Tags         query.Members[tag]             `xml:"Tags"`
}

type parameter struct {
	Key      string `xml:"ParameterKey"`
	Value    string `xml:"ParameterValue"`
	Resolved string `xml:"ResolvedValue,omitempty"`
}

type tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

func (v *stack) describe() described {
	d := described{
		ID: v.ID, Name: v.Name, Description: v.now.template.Description(), Created: stamp(v.created), Updated: stamp(v.updated), Status: v.Status, Reason: v.Reason,
		NoRollback: v.onFailure == "DO_NOTHING", Capabilities: query.Members[string]{Items: v.now.capabilities}, Outputs: query.Members[template.Output]{Items: v.outputs},
	}
	if v.Status == DeleteComplete {
		d.Deleted = stamp(v.changed)
	}
	for _, key := range slices.Sorted(maps.Keys(v.now.parameters)) {
		p := parameter{key, v.now.parameters[key], v.now.resolved[key]}
		if v.now.template.Parameter(key).NoEcho {
			p.Value = hidden
		}
		d.Parameters.Items = append(d.Parameters.Items, p)
	}
	for _, key := range slices.Sorted(maps.Keys(v.now.tags)) {
		d.Tags.Items = append(d.Tags.Items, tag{key, v.now.tags[key]})
	}
	return d
}

// read calls do with the requested stack while the lock is held.
func (s *Service) read(region, name string, do func(*stack)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	v := s.find(region, name)
	if v == nil {
		return unknown(name)
	}
	do(v)
	return nil
}

// Describe returns the response of DescribeStacks: the stack of that name, or all.
func (s *Service) Describe(region, name string) (any, error) {
	var list query.Members[described]
	if name != "" {
		err := s.read(region, name, func(v *stack) { list.Items = append(list.Items, v.describe()) })
		if err != nil {
			return nil, err
		}
	} else {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settle()
		for _, v := range slices.Backward(s.stacks) {
			if v.Region == region && v.Status != DeleteComplete {
				list.Items = append(list.Items, v.describe())
			}
		}
	}
	return struct {
		Stacks query.Members[described] `xml:"Stacks"`
	}{list}, nil
}

// Events returns the events of a stack, newest first.
func (s *Service) Events(region, name string) (list []any, err error) {
	err = s.read(region, name, func(v *stack) {
		for _, e := range slices.Backward(v.events) {
			list = append(list, e)
		}
	})
	return list, err
}

type describedResource struct {
	StackName string `xml:"StackName,omitempty"`
	StackID   string `xml:"StackId,omitempty"`
	Logical   string `xml:"LogicalResourceId"`
	Physical  string `xml:"PhysicalResourceId,omitempty"`
	Kind      string `xml:"ResourceType"`
	Changed   string `xml:"Timestamp,omitempty"`
	Updated   string `xml:"LastUpdatedTimestamp,omitempty"`
	Status    string `xml:"ResourceStatus"`
	Reason    string `xml:"ResourceStatusReason,omitempty"`
}

func (v *stack) describeResources(id string) (list []describedResource) {
	last := map[string]*stackResource{}
	for _, r := range v.resources {
		last[r.ID] = r
	}
	for _, r := range v.resources {
		if last[r.ID] == r && (id == "" || r.ID == id) {
			list = append(list, describedResource{v.Name, v.ID, r.ID, r.physical, r.Type, stamp(r.changed), "", r.status, r.reason})
		}
	}
	return list
}

// Resources returns the response of DescribeStackResources. The request names a stack,
// or one of its resources by its physical id.
func (s *Service) Resources(region string, p query.Params) (any, error) {
	name := p.Get("StackName")
	if physical := p.Get("PhysicalResourceId"); name == "" && physical != "" {
		if name = s.owner(region, physical); name == "" {
			return nil, invalid("Stack for %s does not exist", physical)
		}
	}
	var list []describedResource
	if err := s.read(region, name, func(v *stack) { list = v.describeResources(p.Get("LogicalResourceId")) }); err != nil {
		return nil, err
	}
	return struct {
		Resources query.Members[describedResource] `xml:"StackResources"`
	}{query.Members[describedResource]{Items: list}}, nil
}

// owner returns the id of the stack with a resource of that physical id.
func (s *Service) owner(region, physical string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.stacks {
		for _, r := range v.resources {
			if v.Region == region && r.physical == physical && r.status != DeleteComplete {
				return v.ID
			}
		}
	}
	return ""
}

// Resource returns the response of DescribeStackResource.
func (s *Service) Resource(region string, p query.Params) (any, error) {
	var list []describedResource
	if err := s.read(region, p.Get("StackName"), func(v *stack) { list = v.describeResources(p.Get("LogicalResourceId")) }); err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, invalid("Resource %s does not exist for stack %s", p.Get("LogicalResourceId"), p.Get("StackName"))
	}
	r := list[0]
	r.Changed, r.Updated = "", r.Changed
	return struct {
		Resource describedResource `xml:"StackResourceDetail"`
	}{r}, nil
}

// ResourceSummaries returns the resources for ListStackResources.
func (s *Service) ResourceSummaries(region, name string) (list []any, err error) {
	err = s.read(region, name, func(v *stack) {
		for _, r := range v.describeResources("") {
			r.StackName, r.StackID, r.Changed, r.Updated = "", "", "", r.Changed
			list = append(list, r)
		}
	})
	return list, err
}

// Summaries returns the stacks for ListStacks, newest first.
func (s *Service) Summaries(region string, statuses []string) (list []any) {
	type summary struct {
		ID      string `xml:"StackId"`
		Name    string `xml:"StackName"`
		Text    string `xml:"TemplateDescription,omitempty"`
		Created string `xml:"CreationTime"`
		Updated string `xml:"LastUpdatedTime,omitempty"`
		Deleted string `xml:"DeletionTime,omitempty"`
		Status  string `xml:"StackStatus"`
		Reason  string `xml:"StackStatusReason,omitempty"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	for _, v := range slices.Backward(s.stacks) {
		if d := v.describe(); v.Region == region && (len(statuses) == 0 || slices.Contains(statuses, v.Status)) {
			list = append(list, summary{d.ID, d.Name, d.Description, d.Created, d.Updated, d.Deleted, d.Status, d.Reason})
		}
	}
	return list
}

// Template returns the template of a stack, and the values of its parameters.
func (s *Service) Template(region, name string) (t *template.Template, parameters map[string]string, err error) {
	err = s.read(region, name, func(v *stack) { t, parameters = v.now.template, maps.Clone(v.now.parameters) })
	if err == nil && strings.HasPrefix(name, "arn:") && t == nil {
		err = unknown(name)
	}
	return t, parameters, err
}
