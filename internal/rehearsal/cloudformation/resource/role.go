// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

import (
	"encoding/json"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// role is AWS::IAM::Role. Its managed policies are not recorded.
var role = Type{
	Create: func(r *Request) (string, error) {
		name := r.name("RoleName", 64)
		p := query.Params{"RoleName": name, "AssumeRolePolicyDocument": document(r.Properties["AssumeRolePolicyDocument"]), "Description": r.text("Description", "")}
		set(p, "Tags", r.tags(), nil)
		return name, r.Client("iam", "", "CreateRole", p, nil)
	},
	Ready: func(r *Request) (bool, error) {
		ready, err := exists(r.Client("iam", "", "GetRole", query.Params{"RoleName": r.ID}, nil))
		if !ready || err != nil {
			return ready, err
		}
		return true, putPolicies(r)
	},
	Update: putPolicies,
	Delete: func(r *Request) (bool, error) {
		for _, name := range policies(r.Properties) {
			if err := r.Client("iam", "", "DeleteRolePolicy", query.Params{"RoleName": r.ID, "PolicyName": name}, nil); err != nil && !missing(err) {
				return false, err
			}
		}
		return r.deleted(r.Client("iam", "", "DeleteRole", query.Params{"RoleName": r.ID}, nil))
	},
	Attribute: func(r *Request, name string) (string, error) {
		var found struct {
			Arn string `xml:"Role>Arn"`
			ID  string `xml:"Role>RoleId"`
		}
		err := r.Client("iam", "", "GetRole", query.Params{"RoleName": r.ID}, &found)
		switch name {
		case "Arn":
			return found.Arn, err
		case "RoleId":
			return found.ID, err
		}
		return "", fmt.Errorf("the attribute %s does not exist", name)
	},
	Replaces: []string{"RoleName", "Path", "AssumeRolePolicyDocument"},
}

// putPolicies writes the inline policies and deletes those of the state before.
func putPolicies(r *Request) error {
	list, _ := r.Properties["Policies"].([]any)
	now := map[string]bool{}
	for _, v := range list {
		m, _ := v.(map[string]any)
		name := template.Text(m["PolicyName"])
		now[name] = true
		p := query.Params{"RoleName": r.ID, "PolicyName": name, "PolicyDocument": document(m["PolicyDocument"])}
		if err := r.Client("iam", "", "PutRolePolicy", p, nil); err != nil {
			return err
		}
	}
	for _, name := range policies(r.Before) {
		if now[name] {
			continue
		}
		if err := r.Client("iam", "", "DeleteRolePolicy", query.Params{"RoleName": r.ID, "PolicyName": name}, nil); err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

// policies returns the names of the inline policies of a role.
func policies(properties map[string]any) (names []string) {
	list, _ := properties["Policies"].([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		names = append(names, template.Text(m["PolicyName"]))
	}
	return names
}

// document returns a policy as JSON text.
func document(v any) string {
	text, _ := json.Marshal(v) // of a template's values always succeeds
	return string(text)
}
