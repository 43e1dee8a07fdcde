// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/stack"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Stack instance statuses.
const (
	current    = "CURRENT"
	outdated   = "OUTDATED"
	inoperable = "INOPERABLE"
)

// instance is a stack instance: the set's reference to one stack.
type instance struct {
	account, region, unit string
	status, reason        string
	detailed              string // PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED, INOPERABLE
	lastOperation         string
	overrides             map[string]string

	// The stack, once it exists.
	stackID    string
	body       string
	parameters map[string]string
	changed    time.Time
}

func (set *stackSet) instance(account, region string) *instance {
	for _, i := range set.instances {
		if i.account == account && i.region == region {
			return i
		}
	}
	return nil
}

// sorted returns the instances ordered by account and region.
func (set *stackSet) sorted() []*instance {
	return slices.SortedFunc(slices.Values(set.instances), func(a, b *instance) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.region, b.region))
	})
}

// stack returns the state of the stack.
func (i *instance) stack(s *Service) (stack.State, bool) {
	if i.stackID == "" {
		return stack.State{}, false
	}
	return s.cfg.Other(i.account).stacks.State(i.region, i.stackID)
}

// begin begins the change of the stack at a time. It returns the reason why it cannot
// begin. A stack that already has the template and the parameters does not change. One
// whose creation was rolled back is created again.
func (i *instance) begin(s *Service, o *operation, at time.Time) string {
	stacks := s.cfg.Other(i.account).stacks
	st, exists := i.stack(s)
	exists = exists && st.Status != stack.DeleteComplete
	in := stack.Input{Template: o.template, Parameters: i.values(o), Tags: map[string]string{}, Capabilities: o.set.capabilities, At: at}
	for _, t := range o.set.tags {
		in.Tags[t.Key] = t.Value
	}
	var err error
	switch {
	case o.action == "DELETE" && (o.retain || !exists):
	case o.action == "DELETE":
		err = stacks.Delete(i.region, i.stackID, at)
	case exists && i.body != "" && (i.body != o.template.Body || !maps.Equal(i.parameters, in.Parameters)):
		_, err = stacks.Update(i.region, i.stackID, in)
	case !exists || i.body == "":
		if exists {
			err = stacks.Delete(i.region, i.stackID, at)
		}
		in.Name = "StackSet-" + o.set.name + "-" + s.uuid()
		i.stackID = "arn:aws:cloudformation:" + i.region + ":" + i.account + ":stack/" + in.Name + "/" + s.uuid()
		if in.ID = i.stackID; err == nil {
			_, err = stacks.Create(i.region, in)
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// failure returns why the change of a stack failed, or an empty string.
func (i *instance) failure(st stack.State, o *operation) string {
	complete := map[string][]string{"CREATE": {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, "UPDATE": {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, "DELETE": {stack.DeleteComplete, ""}}
	if o.retain || slices.Contains(complete[o.action], st.Status) {
		return ""
	}
	return cmp.Or(st.Failed, st.Reason, "Stack "+st.ID+" is in "+st.Status+" state")
}

// apply notes the template and the parameters of a changed stack.
func (i *instance) apply(o *operation, at time.Time) {
	if values := i.values(o); i.body != o.template.Body || !maps.Equal(i.parameters, values) {
		i.body, i.parameters, i.changed = o.template.Body, values, at
	}
}

func createStackInstances(c *call) (any, error) {
	return c.onInstances("CREATE", func(set *stackSet, o *operation) ([]*instance, error) {
		accounts, err := c.targets(set)
		if err != nil {
			return nil, err
		}
		if len(accounts) == 0 {
			return nil, invalid("Accounts or DeploymentTargets must be specified")
		}
		var list []*instance
		for _, region := range c.p.List("Regions") {
			for _, a := range accounts {
				i := set.instance(a.id, region)
				if i == nil {
					i = &instance{account: a.id, region: region, unit: a.unit, status: outdated}
				}
				if err := i.setOverrides(c, set); err != nil {
					return nil, err
				}
				list = append(list, i)
			}
		}
		return list, o.setPreferences(c, list)
	})
}

func updateStackInstances(c *call) (any, error) {
	return c.onInstances("UPDATE", func(set *stackSet, o *operation) ([]*instance, error) {
		list, err := c.existing(set)
		if err != nil {
			return nil, err
		}
		if err := o.setPreferences(c, list); err != nil {
			return nil, err
		}
		for _, i := range list {
			if err := i.setOverrides(c, set); err != nil {
				return nil, err
			}
		}
		return list, nil
	})
}

func deleteStackInstances(c *call) (any, error) {
	if err := c.required("RetainStacks"); err != nil {
		return nil, err
	}
	return c.onInstances("DELETE", func(set *stackSet, o *operation) ([]*instance, error) {
		accounts, err := c.targets(set)
		if err != nil {
			return nil, err
		}
		var list []*instance
		for _, region := range c.p.List("Regions") {
			for _, a := range accounts {
				if i := set.instance(a.id, region); i != nil {
					list = append(list, i)
				}
			}
		}
		o.retain = c.p.Bool("RetainStacks", false)
		return list, o.setPreferences(c, list)
	})
}

// onInstances starts an operation on the instances that find returns.
func (c *call) onInstances(action string, find func(*stackSet, *operation) ([]*instance, error)) (any, error) {
	set, err := c.find()
	if err != nil {
		return nil, err
	}
	if err := c.required("Regions"); err != nil {
		return nil, err
	}
	o, err := c.operation(set, action)
	if err != nil {
		return nil, err
	}
	list, err := find(set, o)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if set.instance(i.account, i.region) == nil {
			set.instances = append(set.instances, i)
		}
	}
	set.enqueue(o, list)
	return operationID{o.id}, nil
}

type detailedStatus struct {
	Detailed string `xml:"DetailedStatus"`
}

type instanceSummary struct {
	SetID    string         `xml:"StackSetId"`
	Region   string         `xml:"Region"`
	Account  string         `xml:"Account"`
	StackID  string         `xml:"StackId,omitempty"`
	Status   string         `xml:"Status"`
	Reason   string         `xml:"StatusReason,omitempty"`
	Detailed detailedStatus `xml:"StackInstanceStatus"`
	Unit     string         `xml:"OrganizationalUnitId,omitempty"`
	Drift    string         `xml:"DriftStatus"`
	Last     string         `xml:"LastOperationId,omitempty"`
}

func (i *instance) summary(set *stackSet) instanceSummary {
	return instanceSummary{set.id, i.region, i.account, i.stackID, i.status, i.reason, detailedStatus{i.detailed}, i.unit, "NOT_CHECKED", i.lastOperation}
}

func listStackInstances(c *call) (any, error) {
	set, err := c.find()
	if err != nil {
		return nil, err
	}
	var all []instanceSummary
	for _, i := range set.sorted() {
		wanted := c.p.Or("StackInstanceAccount", i.account) == i.account && c.p.Or("StackInstanceRegion", i.region) == i.region
		for _, f := range c.p.Items("Filters") {
			is, ok := map[string]string{"DETAILED_STATUS": i.detailed, "LAST_OPERATION_ID": i.lastOperation, "DRIFT_STATUS": "NOT_CHECKED"}[f.Get("Name")]
			if !ok {
				return nil, invalid("Filters has the name %q, expected DETAILED_STATUS, LAST_OPERATION_ID or DRIFT_STATUS", f.Get("Name"))
			}
			wanted = wanted && is == f.Get("Values")
		}
		if wanted {
			all = append(all, i.summary(set))
		}
	}
	part, next, err := page(c, all)
	return listed[instanceSummary]{part, next}, err
}

func describeStackInstance(c *call) (any, error) {
	set, err := c.find()
	if err != nil {
		return nil, err
	}
	i := set.instance(c.p.Get("StackInstanceAccount"), c.p.Get("StackInstanceRegion"))
	if i == nil {
		return nil, set.noInstance(c.p.Get("StackInstanceAccount"), c.p.Get("StackInstanceRegion"))
	}
	return struct {
		Instance any `xml:"StackInstance"`
	}{struct {
		instanceSummary
		Overrides query.Members[parameter] `xml:"ParameterOverrides"`
	}{i.summary(set), display(set.template, i.overrides)}}, nil
}

func (set *stackSet) noInstance(account, region string) error {
	return failed(404, "StackInstanceNotFoundException", "Stack Instance not found for stack set: [%s], account [%s] and region [%s]", set.name, account, region)
}
