// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package policy

import "slices"

// Accounts lists what a build needs to let other accounts copy its images.
type Accounts struct {
	Any bool
	// Grantees are the roles that get a grant for the key of an encrypted image.
	Grantees []string
}

// grants is the statement for creating grants: only for the roles of the accounts.
const grants = "Grants"

func (a Accounts) grantCondition() Condition {
	return Condition{"StringEquals": {GranteePrincipal: a.Grantees}}
}

// add adds the statements of the build's own account.
func (a Accounts) add(add func(wanted bool, sid string, actions ...string)) {
	granted := len(a.Grantees) > 0
	add(a.Any, "Accounts", "sts:AssumeRole")
	add(granted, "Accounts", "DescribeSnapshots", "kms:RevokeGrant")
	add(granted, grants, "kms:CreateGrant")
	// These verify that a share is gone, and find a grant whose response was lost.
	add(a.Any, "OptionalAccounts", "DescribeImageAttribute", "DescribeSnapshotAttribute")
	add(granted, "OptionalAccounts", "kms:ListGrants")
}

// RoleNeeds lists the operations of a role that copies images to its account.
type RoleNeeds struct {
	ModifyImage bool // the copies require IMDSv2
	Deprecate   bool
	Keys        bool // the image or its copy is encrypted
	Parameter   bool // an SSM parameter is set
}

// LeastOfRole returns the minimum policy of a role that copies images to its account.
func LeastOfRole(n RoleNeeds) Document {
	d := Document{Version: version}
	add := func(wanted bool, sid string, condition Condition, actions ...string) {
		if !wanted {
			return
		}
		slices.Sort(actions)
		d.Statement = append(d.Statement, Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: Strings{"*"}, Condition: condition})
	}
	ofBuild := []string{"ec2:CreateTags", "ec2:DeleteSnapshot", "ec2:DeregisterImage"}
	if n.ModifyImage {
		ofBuild = append(ofBuild, "ec2:ModifyImageAttribute")
	}
	if n.Deprecate {
		ofBuild = append(ofBuild, "ec2:EnableImageDeprecation")
	}
	add(true, "Copy", nil, "ec2:CopyImage", "ec2:DescribeImages")
	add(true, tagNew, conditionOf(tagNew, Needs{Copy: true}), "ec2:CreateTags")
	add(true, own, conditionOf(own, Needs{}), ofBuild...)
	add(n.Keys, "Keys", nil, "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo")
	add(n.Parameter, "Parameters", nil, "ssm:GetParameter", "ssm:PutParameter")
	add(true, "OptionalChecks", nil, "ec2:DescribeRegions")
	add(true, "OptionalRemains", nil, "ec2:DescribeSnapshots")
	return d
}
