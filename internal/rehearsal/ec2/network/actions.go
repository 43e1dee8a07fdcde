// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

// Action is one action of the API.
type Action struct {
	Run      func(*Call) (any, error)
	Required []string // required parameters; EC2 returns MissingParameter without one
}

// Actions lists the actions on networks and key pairs.
var Actions = map[string]Action{
	"DescribeVpcs":          {Run: describeVpcs},
	"DescribeVpcAttribute":  {Run: describeVpcAttribute, Required: []string{"VpcId", "Attribute"}},
	"DescribeSubnets":       {Run: describeSubnets},
	"CreateVpc":             {Run: createVpc, Required: []string{"CidrBlock"}},
	"DeleteVpc":             {Run: deleteVpc, Required: []string{"VpcId"}},
	"CreateSubnet":          {Run: createSubnet, Required: []string{"VpcId", "CidrBlock"}},
	"ModifySubnetAttribute": {Run: modifySubnetAttribute, Required: []string{"SubnetId"}},
	"DeleteSubnet":          {Run: deleteSubnet, Required: []string{"SubnetId"}},
	"DescribeRouteTables":   {Run: describeRouteTables},

	"CreateKeyPair":    {Run: createKeyPair, Required: []string{"KeyName"}},
	"ImportKeyPair":    {Run: importKeyPair, Required: []string{"KeyName", "PublicKeyMaterial"}},
	"DescribeKeyPairs": {Run: describeKeyPairs},
	"DeleteKeyPair":    {Run: deleteKeyPair},

	"CreateSecurityGroup":           {Run: createSecurityGroup, Required: []string{"GroupName", "GroupDescription"}},
	"DescribeSecurityGroups":        {Run: describeSecurityGroups},
	"DescribeSecurityGroupRules":    {Run: describeSecurityGroupRules},
	"AuthorizeSecurityGroupIngress": {Run: authorizeIngress},
	"AuthorizeSecurityGroupEgress":  {Run: authorizeEgress, Required: []string{"GroupId"}},
	"RevokeSecurityGroupIngress":    {Run: revokeIngress},
	"RevokeSecurityGroupEgress":     {Run: revokeEgress, Required: []string{"GroupId"}},
	"DeleteSecurityGroup":           {Run: deleteSecurityGroup},
}
