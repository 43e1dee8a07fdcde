// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// instanceProfile is AWS::IAM::InstanceProfile. It is ready when EC2 knows it, too.
var instanceProfile = Type{
	Create: func(r *Request) (string, error) {
		name := r.name("InstanceProfileName", 128)
		return name, r.Client("iam", "", "CreateInstanceProfile", query.Params{"InstanceProfileName": name}, nil)
	},
	Ready: func(r *Request) (bool, error) {
		var found struct {
			Roles []string `xml:"InstanceProfile>Roles>member>RoleName"`
		}
		err := r.Client("iam", "", "GetInstanceProfile", query.Params{"InstanceProfileName": r.ID}, &found)
		if ready, err := exists(err); !ready {
			return false, err
		}
		if wanted := template.Texts(r.Properties["Roles"]); len(found.Roles) == 0 && len(wanted) > 0 {
			err := r.Client("iam", "", "AddRoleToInstanceProfile", query.Params{"InstanceProfileName": r.ID, "RoleName": wanted[0]}, nil)
			return false, err
		}
		return r.Age >= r.Consistent, nil
	},
	Delete: func(r *Request) (bool, error) {
		for _, name := range template.Texts(r.Properties["Roles"]) {
			err := r.Client("iam", "", "RemoveRoleFromInstanceProfile", query.Params{"InstanceProfileName": r.ID, "RoleName": name}, nil)
			if err != nil && !missing(err) {
				return false, err
			}
		}
		return r.deleted(r.Client("iam", "", "DeleteInstanceProfile", query.Params{"InstanceProfileName": r.ID}, nil))
	},
	Attribute: func(r *Request, name string) (string, error) {
		if name != "Arn" {
			return "", fmt.Errorf("the attribute %s does not exist", name)
		}
		return "arn:aws:iam::" + r.Account + ":instance-profile/" + r.ID, nil
	},
}
