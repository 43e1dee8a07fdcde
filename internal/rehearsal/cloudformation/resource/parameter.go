// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// parameter is AWS::SSM::Parameter.
var parameter = Type{
	Create: func(r *Request) (string, error) {
		p := parameterRequest(r)
		p["Name"] = r.name("Name", 1011)
		if tags, ok := r.Properties["Tags"].(map[string]any); ok { // a map, unlike in other types
			n := 0
			for key, value := range tags {
				n++
				set(p, fmt.Sprintf("Tags.%d", n), map[string]any{"Key": key, "Value": value}, nil)
			}
		}
		return p["Name"], r.Client("ssm", r.Region, "PutParameter", p, nil)
	},
	Ready: func(r *Request) (bool, error) { // an image is validated first
		err := r.Client("ssm", r.Region, "GetParameter", query.Params{"Name": r.ID}, nil)
		if e, ok := err.(*query.Error); ok && e.Code == "ParameterNotFound" { //nolint:errorlint // services return it unwrapped
			return false, nil
		}
		return err == nil, err
	},
	Update: func(r *Request) error {
		p := parameterRequest(r)
		p["Name"], p["Overwrite"] = r.ID, "true"
		return r.Client("ssm", r.Region, "PutParameter", p, nil)
	},
	Delete: func(r *Request) (bool, error) {
		return r.deleted(r.Client("ssm", r.Region, "DeleteParameter", query.Params{"Name": r.ID}, nil))
	},
	Attribute: func(r *Request, name string) (string, error) {
		if name != "Value" && name != "Type" {
			return "", fmt.Errorf("the attribute %s does not exist", name)
		}
		return r.text(name, ""), nil
	},
	Replaces: []string{"Name", "DataType"},
}

func parameterRequest(r *Request) query.Params {
	p := query.Params{}
	for _, name := range []string{"Type", "Value", "DataType", "Description", "AllowedPattern"} {
		if v := r.text(name, ""); v != "" {
			p[name] = v
		}
	}
	return p
}
