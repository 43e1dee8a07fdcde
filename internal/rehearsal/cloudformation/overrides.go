// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"maps"
	"slices"
	"strings"
)

// setOverrides replaces the instance's overrides by the request's. Without a list they
// stay; an empty list removes them
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStackInstances.html).
func (i *instance) setOverrides(c *call, set *stackSet) error {
	if !c.p.Has("ParameterOverrides") {
		return nil
	}
	overrides, err := requestParameters(c.p.Items("ParameterOverrides"), i.overrides)
	if err != nil {
		return err
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if _, ok := set.parameters[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return invalid("ParameterOverrides: [%s] are not parameters of the stack set", strings.Join(unknown, ", "))
	}
	i.overrides = overrides
	return nil
}

// values returns the parameters of the instance's stack. An override of a parameter
// that the template no longer has is ignored.
func (i *instance) values(o *operation) map[string]string {
	values := maps.Clone(o.parameters)
	for name, value := range i.overrides {
		if _, ok := values[name]; ok {
			values[name] = value
		}
	}
	return values
}
