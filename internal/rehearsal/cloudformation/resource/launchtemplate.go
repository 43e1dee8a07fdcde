// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// listNames are the names of lists in EC2's requests.
var listNames = map[string]string{
	"BlockDeviceMappings": "BlockDeviceMapping", "NetworkInterfaces": "NetworkInterface", "Groups": "SecurityGroupId", "TagSpecifications": "TagSpecification",
	"Tags": "Tag", "SecurityGroupIds": "SecurityGroupId", "SecurityGroups": "SecurityGroup", "LicenseSpecifications": "LicenseSpecification",
}

// launchTemplate is AWS::EC2::LaunchTemplate. An update adds a version.
var launchTemplate = Type{
	Create: func(r *Request) (string, error) {
		p := launchTemplateData(r)
		p["LaunchTemplateName"] = r.name("LaunchTemplateName", 128)
		if specs, ok := r.Properties["TagSpecifications"]; ok {
			set(p, "TagSpecification", specs, listNames)
		}
		var made struct {
			ID string `xml:"launchTemplate>launchTemplateId"`
		}
		err := r.Client("ec2", r.Region, "CreateLaunchTemplate", p, &made)
		return made.ID, err
	},
	Ready: func(r *Request) (bool, error) {
		return exists(r.Client("ec2", r.Region, "DescribeLaunchTemplates", query.Params{"LaunchTemplateId.1": r.ID}, nil))
	},
	Update: func(r *Request) error {
		p := launchTemplateData(r)
		p["LaunchTemplateId"] = r.ID
		return r.Client("ec2", r.Region, "CreateLaunchTemplateVersion", p, nil)
	},
	Delete: func(r *Request) (bool, error) {
		return r.deleted(r.Client("ec2", r.Region, "DeleteLaunchTemplate", query.Params{"LaunchTemplateId": r.ID}, nil))
	},
	Attribute: func(r *Request, name string) (string, error) {
		var found struct {
			Latest  string `xml:"launchTemplates>item>latestVersionNumber"`
			Default string `xml:"launchTemplates>item>defaultVersionNumber"`
		}
		err := r.Client("ec2", r.Region, "DescribeLaunchTemplates", query.Params{"LaunchTemplateId.1": r.ID}, &found)
		switch name {
		case "LatestVersionNumber":
			return found.Latest, err
		case "DefaultVersionNumber":
			return found.Default, err
		case "LaunchTemplateId":
			return r.ID, err
		}
		return "", fmt.Errorf("the attribute %s does not exist", name)
	},
	Replaces: []string{"LaunchTemplateName"},
}

func launchTemplateData(r *Request) query.Params {
	p := query.Params{}
	set(p, "LaunchTemplateData", r.Properties["LaunchTemplateData"], listNames)
	if v := r.text("VersionDescription", ""); v != "" {
		p["VersionDescription"] = v
	}
	return p
}
