// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/resource"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
)

// DeleteComplete is the status of a deleted stack or resource.
const DeleteComplete = "DELETE_COMPLETE"

type stack struct {
	service        *Service
	ID, Name       string
	Region         string
	Status, Reason string
	created        time.Time
	updated        time.Time
	changed        time.Time // of the status
	now, former    *deployment
	resources      []*stackResource // in the order of creation, including deleted ones
	events         []event          // oldest first
	outputs        []template.Output
	onFailure      string
	token          string
	run            *run // change under way, or nil
	failed         string
}

// stackResource is a resource of a stack.
type stackResource struct {
	template.Resource
	physical       string
	properties     map[string]any // without functions
	status, reason string
	created        time.Time
	changed        time.Time // of the status
	token          string    // of its generated name
	signals        []signal
	wait           *creationWait // for signals, or nil
	rollout        *rollout      // under way, or nil
}

// event is an event of a stack.
type event struct {
	StackID    string `xml:"StackId"`
	ID         string `xml:"EventId"`
	StackName  string `xml:"StackName"`
	Logical    string `xml:"LogicalResourceId"`
	Physical   string `xml:"PhysicalResourceId"`
	Kind       string `xml:"ResourceType"`
	Time       string `xml:"Timestamp"`
	Status     string `xml:"ResourceStatus"`
	Reason     string `xml:"ResourceStatusReason,omitempty"`
	Properties string `xml:"ResourceProperties,omitempty"`
}

// set sets the status of the stack.
func (v *stack) set(now time.Time, status, reason string) {
	v.Status, v.Reason, v.changed = status, reason, now
	if reason == "User Initiated" {
		v.Reason, v.failed = "", ""
	}
	v.events = append(v.events, event{v.ID, v.service.uuid(), v.Name, v.Name, v.ID, "AWS::CloudFormation::Stack", stamp(now), status, reason, ""})
}

// cancelled ends the reason of a resource whose operation ended with that of another.
const cancelled = " cancelled"

// mark sets the status of a resource.
func (v *stack) mark(now time.Time, r *stackResource, status, reason string) {
	r.status, r.reason, r.changed = status, reason, now
	v.note(now, r, status, reason)
	if strings.HasSuffix(status, "_FAILED") && v.failed == "" && !strings.HasSuffix(reason, cancelled) {
		v.failed = fmt.Sprintf("ResourceLogicalId:%s, ResourceType:%s, ResourceStatusReason:%s.", r.ID, r.Type, strings.TrimSuffix(reason, "."))
	}
}

// note adds an event of a resource.
func (v *stack) note(now time.Time, r *stackResource, status, reason string) {
	properties, _ := json.Marshal(r.properties) // of a template's values always succeeds
	v.events = append(v.events, event{v.ID, fmt.Sprintf("%s-%s-%s", r.ID, status, stamp(now)), v.Name, r.ID, r.physical, r.Type, stamp(now), status, reason, string(properties)})
}

// existing returns the resource of a logical id, or nil.
func (v *stack) existing(id string) *stackResource {
	for _, r := range v.resources {
		if r.ID == id && r.status != DeleteComplete {
			return r
		}
	}
	return nil
}

// snapshot returns the properties and physical ids of all resources, for a roll back.
func (v *stack) snapshot() map[string]stackResource {
	all := map[string]stackResource{}
	for _, r := range v.resources {
		if r.status != DeleteComplete {
			all[r.ID] = *r
		}
	}
	return all
}

// request returns the request for a resource.
func (v *stack) request(now time.Time, r *stackResource) *resource.Request {
	s := v.service
	return &resource.Request{
		Client: s.cfg.Client, Region: v.Region, Account: s.cfg.AccountID, StackName: v.Name, StackID: v.ID, LogicalID: r.ID, ID: r.physical,
		Properties: r.properties, Before: r.properties, Tags: v.now.tags, Token: r.token, Age: now.Sub(r.created), Consistent: 2 * s.cfg.Pace.NotFound,
	}
}

// scope returns the scope of a template's functions.
func (v *stack) scope(d *deployment) *template.Scope {
	s := v.service
	values := map[string]string{}
	for key, value := range d.parameters {
		values[key] = value
		if resolved, ok := d.resolved[key]; ok {
			values[key] = resolved
		}
	}
	return &template.Scope{
		Template: d.template, Parameters: values, Region: v.Region, Zones: s.cfg.Zones,
		Pseudo: map[string]string{
			"AWS::Region": v.Region, "AWS::AccountId": s.cfg.AccountID, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
			"AWS::StackName": v.Name, "AWS::StackId": v.ID,
		},
		Parameter: func(name string) (string, error) { return s.parameter(v.Region, name) },
		Resource: func(id, attribute string) (any, error) {
			r := v.existing(id)
			if r == nil {
				return nil, invalid("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", id)
			}
			if attribute == "" {
				return r.physical, nil
			}
			t := resource.Of(r.Type)
			if t.Attribute == nil {
				return nil, invalid("Template error: resource %s does not support attribute type %s in Fn::GetAtt", id, attribute)
			}
			value, err := t.Attribute(v.request(s.cfg.Clock.Now(), r), attribute)
			if err != nil {
				return nil, invalid("Template error: resource %s does not support attribute type %s in Fn::GetAtt", id, attribute)
			}
			return value, nil
		},
	}
}

func (v *stack) state() State {
	return State{v.ID, v.Name, v.Status, v.Reason, v.run != nil, v.changed, v.failed, v.now.tags}
}

// byName returns the names of resources in an event.
func byName(list []string) string {
	slices.Sort(list)
	return "[" + strings.Join(slices.Compact(list), ", ") + "]"
}
