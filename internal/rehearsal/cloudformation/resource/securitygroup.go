// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

import (
	"errors"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// securityGroup is AWS::EC2::SecurityGroup. A change of its rules replaces it.
var securityGroup = Type{
	Create: createSecurityGroup,
	Ready: func(r *Request) (bool, error) {
		ready, err := exists(r.Client("ec2", r.Region, "DescribeSecurityGroups", query.Params{"GroupId.1": r.ID}, nil))
		if !ready || err != nil {
			return ready, err
		}
		return true, authorize(r)
	},
	Delete: func(r *Request) (bool, error) {
		err := r.Client("ec2", r.Region, "DeleteSecurityGroup", query.Params{"GroupId": r.ID}, nil)
		if e, ok := err.(*query.Error); ok && e.Code == "DependencyViolation" { //nolint:errorlint // services return it unwrapped
			return false, nil // until its instances are gone
		}
		return r.deleted(err)
	},
	Attribute: func(r *Request, name string) (string, error) {
		var found struct {
			VPC string `xml:"securityGroupInfo>item>vpcId"`
		}
		err := r.Client("ec2", r.Region, "DescribeSecurityGroups", query.Params{"GroupId.1": r.ID}, &found)
		switch name {
		case "GroupId", "Id":
			return r.ID, err
		case "VpcId":
			return found.VPC, err
		}
		return "", fmt.Errorf("the attribute %s does not exist", name)
	},
}

func createSecurityGroup(r *Request) (string, error) {
	p := query.Params{"GroupName": r.name("GroupName", 255), "GroupDescription": r.text("GroupDescription", "")}
	if vpc := r.text("VpcId", ""); vpc != "" {
		p["VpcId"] = vpc
	}
	if tags := r.tags(); len(tags) > 0 {
		p["TagSpecification.1.ResourceType"] = "security-group"
		set(p, "TagSpecification.1.Tag", tags, nil)
	}
	var made struct {
		ID string `xml:"groupId"`
	}
	err := r.Client("ec2", r.Region, "CreateSecurityGroup", p, &made)
	if unknown := new(query.Error); errors.As(err, &unknown) && unknown.Code == "InvalidVpcID.NotFound" {
		// A published template names VPCs of the user's accounts: the default VPC stands for them.
		delete(p, "VpcId")
		err = r.Client("ec2", r.Region, "CreateSecurityGroup", p, &made)
	}
	return made.ID, err
}

// authorize adds the rules. A list of outgoing rules replaces the default one.
func authorize(r *Request) error {
	if egress, ok := r.Properties["SecurityGroupEgress"].([]any); ok && len(egress) > 0 {
		all := query.Params{"GroupId": r.ID, "IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0"}
		if err := r.Client("ec2", r.Region, "RevokeSecurityGroupEgress", all, nil); err != nil && !missing(err) {
			return err
		}
		if err := authorizeAll(r, "AuthorizeSecurityGroupEgress", egress); err != nil {
			return err
		}
	}
	ingress, _ := r.Properties["SecurityGroupIngress"].([]any)
	return authorizeAll(r, "AuthorizeSecurityGroupIngress", ingress)
}

func authorizeAll(r *Request, action string, rules []any) error {
	for _, v := range rules {
		rule, _ := v.(map[string]any)
		p := query.Params{"GroupId": r.ID}
		for name, to := range map[string]string{
			"IpProtocol": "IpProtocol", "FromPort": "FromPort", "ToPort": "ToPort", "CidrIp": "IpRanges.1.CidrIp", "CidrIpv6": "Ipv6Ranges.1.CidrIpv6",
			"SourceSecurityGroupId": "Groups.1.GroupId", "DestinationSecurityGroupId": "Groups.1.GroupId", "SourcePrefixListId": "PrefixListIds.1.PrefixListId",
		} {
			if part, ok := rule[name]; ok {
				set(p, "IpPermissions.1."+to, part, nil)
			}
		}
		err := r.Client("ec2", r.Region, action, p, nil)
		if e, ok := err.(*query.Error); ok && e.Code == "InvalidPermission.Duplicate" { //nolint:errorlint // services return it unwrapped
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
