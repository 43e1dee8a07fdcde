// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"maps"
)

// updateStackSet changes the set immediately. The set keeps the change even if the
// operation on its stacks fails
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStackSet.html).
func updateStackSet(c *call) (any, error) {
	set, err := c.find()
	if err != nil {
		return nil, err
	}
	if model := c.p.Or("PermissionModel", set.model); model != set.model {
		return nil, invalid("You cannot update the permission model of the stack set from %s to %s", set.model, model)
	}
	if c.p.Has("AutoDeployment") && (c.p.Has("DeploymentTargets") || c.p.Has("Regions")) {
		return nil, invalid("AutoDeployment cannot be specified with DeploymentTargets or Regions")
	}
	role := c.administration()
	if set.administration != "" && role == "" {
		return nil, invalid("The stack set was created with the customized administrator role %s: AdministrationRoleARN must be specified", set.administration)
	}
	t, err := c.template()
	if err != nil {
		return nil, err
	}
	again := c.p.Bool("UsePreviousTemplate", false)
	switch {
	case t != nil && again:
		return nil, invalid("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
	case t == nil && !again:
		return nil, invalid("Either Template URL or Template Body must be specified, or usePreviousTemplate must be true.")
	}
	marks := t != nil
	if t == nil {
		t = set.template
	}
	list := c.p.Items("Parameters")
	values, err := requestParameters(list, set.parameters)
	if err != nil {
		return nil, err
	}
	o, err := c.operation(set, "UPDATE")
	if err != nil {
		return nil, err
	}
	// Managed execution cannot change while an operation runs or is queued.
	if c.p.Has("ManagedExecution") && c.p.Bool("ManagedExecution.Active", false) != set.managed && set.busy() {
		return nil, inProgress()
	}
	targets, err := c.existing(set)
	if err != nil {
		return nil, err
	}
	if err := o.setPreferences(c, targets); err != nil {
		return nil, err
	}
	before := set.parameters
	if err := set.setTemplate(c, t, values); err != nil {
		return nil, err
	}
	set.administration = role
	set.setAttributes(c)
	if marks || !maps.Equal(before, set.parameters) {
		set.generation++
		for _, i := range set.instances {
			if i.status == current {
				i.status = outdated
			}
		}
	}
	set.enqueue(o, targets)
	return operationID{o.id}, nil
}
