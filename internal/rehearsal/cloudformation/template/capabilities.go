// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"fmt"
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Transforms returns the macros that transform the template.
func (t *Template) Transforms() []string {
	switch v := t.doc["Transform"].(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, item := range v {
			if name, ok := item.(string); ok {
				list = append(list, name)
			} else {
				list = append(list, text(item, "Name"))
			}
		}
		return list
	}
	return nil
}

// iamNames maps the resource types that require a capability to the property with their
// name, if any
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ValidateTemplate.html).
var iamNames = map[string]string{
	"AWS::IAM::AccessKey": "", "AWS::IAM::Group": "GroupName", "AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
	"AWS::IAM::Policy": "", "AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName", "AWS::IAM::UserToGroupAddition": "",
}

// Capabilities returns the capabilities that the template requires, and the resource
// types that require them.
func (t *Template) Capabilities() (needs, resources []string) {
	capability := ""
	for _, key := range keys(t.section("Resources")) {
		r := t.section("Resources")[key].(map[string]any) // check verified the type
		kind := text(r, "Type")
		property, ok := iamNames[kind]
		if !ok {
			continue
		}
		resources = append(resources, kind)
		if properties, _ := r["Properties"].(map[string]any); property != "" && properties[property] != nil {
			capability = "CAPABILITY_NAMED_IAM"
		} else if capability == "" {
			capability = "CAPABILITY_IAM"
		}
	}
	if capability != "" {
		needs = append(needs, capability)
	}
	if list := t.Transforms(); len(list) > 0 {
		needs, resources = append(needs, "CAPABILITY_AUTO_EXPAND"), append(resources, list...)
	}
	slices.Sort(resources)
	return needs, slices.Compact(resources)
}

// Allowed returns an error if the template requires a capability that was not given.
func (t *Template) Allowed(given []string) error {
	for _, known := range given {
		if !slices.Contains([]string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}, known) {
			return invalid("1 validation error detected: Value '%s' at 'capabilities' failed to satisfy constraint: Member must satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]", known)
		}
	}
	needs, _ := t.Capabilities()
	for _, need := range needs {
		if !slices.Contains(given, need) && (need != "CAPABILITY_IAM" || !slices.Contains(given, "CAPABILITY_NAMED_IAM")) {
			return query.Errorf("InsufficientCapabilitiesException", "%s", fmt.Sprintf("Requires capabilities : [%s]", need))
		}
	}
	return nil
}
