// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type operationID struct {
	ID string `xml:"OperationId"`
}

// findOperation returns the requested operation and its set.
func (c *call) findOperation() (*stackSet, *operation, error) {
	set, err := c.find()
	if err != nil {
		return nil, nil, err
	}
	if err := c.required("OperationId"); err != nil {
		return nil, nil, err
	}
	o := set.operation(c.p.Get("OperationId"))
	if o == nil {
		return nil, nil, failed(404, "OperationNotFoundException", "Operation %s not found for StackSet %s", c.p.Get("OperationId"), set.name)
	}
	return set, o, nil
}

type operationDetails struct {
	Failed int `xml:"FailedStackInstancesCount"`
}

type operationSummary struct {
	ID          string           `xml:"OperationId"`
	Action      string           `xml:"Action"`
	Status      string           `xml:"Status"`
	Created     string           `xml:"CreationTimestamp"`
	Ended       string           `xml:"EndTimestamp,omitempty"`
	Reason      string           `xml:"StatusReason,omitempty"`
	Details     operationDetails `xml:"StatusDetails"`
	Preferences preferences      `xml:"OperationPreferences"`
}

func (o *operation) summary() operationSummary {
	s := operationSummary{ID: o.id, Action: o.action, Status: o.status, Created: stamp(o.created), Ended: stamp(o.ended), Preferences: o.preferences}
	for _, r := range o.regions {
		s.Details.Failed += r.failures
	}
	return s
}

func describeStackSetOperation(c *call) (any, error) {
	set, o, err := c.findOperation()
	if err != nil {
		return nil, err
	}
	type detailed struct {
		operationSummary
		SetID          string `xml:"StackSetId"`
		Retain         *bool  `xml:"RetainStacks"`
		Administration string `xml:"AdministrationRoleARN,omitempty"`
		Execution      string `xml:"ExecutionRoleName,omitempty"`
	}
	d := detailed{operationSummary: o.summary(), SetID: set.id, Administration: set.administration, Execution: set.execution}
	if o.action == "DELETE" {
		d.Retain = &o.retain
	}
	return struct {
		Operation detailed `xml:"StackSetOperation"`
	}{d}, nil
}

func listStackSetOperations(c *call) (any, error) {
	set, err := c.find()
	if err != nil {
		return nil, err
	}
	var all []operationSummary
	for _, o := range slices.Backward(set.operations) {
		all = append(all, o.summary())
	}
	part, next, err := page(c, all)
	return listed[operationSummary]{part, next}, err
}

type resultSummary struct {
	Account string     `xml:"Account"`
	Region  string     `xml:"Region"`
	Status  string     `xml:"Status"`
	Reason  string     `xml:"StatusReason,omitempty"`
	Gate    gateResult `xml:"AccountGateResult"`
	Unit    string     `xml:"OrganizationalUnitId,omitempty"`
}

type gateResult struct {
	Status string `xml:"Status"`
	Reason string `xml:"StatusReason"`
}

func listStackSetOperationResults(c *call) (any, error) {
	_, o, err := c.findOperation()
	if err != nil {
		return nil, err
	}
	wanted := ""
	for _, f := range c.p.Items("Filters") {
		wanted = f.Get("Values")
	}
	var all []resultSummary
	for _, r := range o.regions {
		for _, v := range r.results {
			if wanted == "" || v.status == wanted {
				all = append(all, resultSummary{v.on.account, r.name, v.status, v.reason, gateResult{"SKIPPED", "Function not found: AWSCloudFormationStackSetAccountGate"}, v.on.unit})
			}
		}
	}
	part, next, err := page(c, all)
	return listed[resultSummary]{part, next}, err
}

// stopStackSetOperation lets running stack changes finish and cancels the pending ones.
func stopStackSetOperation(c *call) (any, error) {
	_, o, err := c.findOperation()
	if err != nil {
		return nil, err
	}
	if o.done() {
		return nil, query.Errorf("InvalidOperationException", "Operation %s is %s and cannot be stopped", o.id, o.status)
	}
	o.status = stopping
	for _, r := range o.regions {
		if r.status == pending {
			r.clock = c.now
			r.cancel("Cancelled since the operation was stopped")
			r.status = cancelled
		}
	}
	return nil, nil
}
