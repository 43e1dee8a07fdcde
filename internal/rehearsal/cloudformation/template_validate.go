// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type templateParameter struct {
	Key         string  `xml:"ParameterKey"`
	Default     *string `xml:"DefaultValue"`
	NoEcho      bool    `xml:"NoEcho"`
	Description string  `xml:"Description,omitempty"`
}

type validated struct {
	Parameters   query.Members[templateParameter] `xml:"Parameters"`
	Description  string                           `xml:"Description,omitempty"`
	Capabilities *query.Members[string]           `xml:"Capabilities"`
	Reason       string                           `xml:"CapabilitiesReason,omitempty"`
	Transforms   *query.Members[string]           `xml:"DeclaredTransforms"`
}

func validateTemplate(c *call) (any, error) {
	t, err := c.template()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	out := validated{Description: text(t.doc, "Description")}
	for _, key := range keys(t.section("Parameters")) {
		out.Parameters.Items = append(out.Parameters.Items, t.parameter(key))
	}
	needs, resources := t.capabilities()
	if len(needs) > 0 {
		out.Capabilities = &query.Members[string]{Items: needs}
		out.Reason = "The following resource(s) require capabilities: [" + strings.Join(resources, ", ") + "]"
	}
	if list := t.transforms(); len(list) > 0 {
		out.Transforms = &query.Members[string]{Items: list}
	}
	return out, nil
}

func (t *template) parameter(key string) templateParameter {
	p := t.section("Parameters")[key].(map[string]any) // check verified the type
	out := templateParameter{Key: key, NoEcho: strings.EqualFold(text(p, "NoEcho"), "true"), Description: text(p, "Description")}
	if p["Default"] != nil {
		v := text(p, "Default")
		out.Default = &v
	}
	return out
}

// transforms returns the macros that transform the template.
func (t *template) transforms() []string {
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

// capabilities returns the capabilities that the template requires, and the resource
// types that require them.
func (t *template) capabilities() (needs, resources []string) {
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
	if list := t.transforms(); len(list) > 0 {
		needs, resources = append(needs, "CAPABILITY_AUTO_EXPAND"), append(resources, list...)
	}
	slices.Sort(resources)
	return needs, slices.Compact(resources)
}

// allowed returns an error if the template requires a capability that was not given.
func (t *template) allowed(given []string) error {
	for _, known := range given {
		if !slices.Contains([]string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}, known) {
			return invalid("1 validation error detected: Value '%s' at 'capabilities' failed to satisfy constraint: Member must satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]", known)
		}
	}
	needs, _ := t.capabilities()
	for _, need := range needs {
		if !slices.Contains(given, need) && (need != "CAPABILITY_IAM" || !slices.Contains(given, "CAPABILITY_NAMED_IAM")) {
			return query.Errorf("InsufficientCapabilitiesException", "%s", fmt.Sprintf("Requires capabilities : [%s]", need))
		}
	}
	return nil
}
