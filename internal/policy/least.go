// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"slices"
	"strings"
)

// Needs is what a build does, as far as it needs permissions of its own.
type Needs struct {
	Instance      bool // an instance is launched, and terminated
	KeyPair       bool // a temporary one is made
	SecurityGroup bool // a temporary one is made
	GivenGroup    bool // a security group is named, or found by a filter
	GivenSubnet   bool // the subnets are those of a VPC, a list or a filter
	GivenVPC      bool // the VPC is found by a filter
	Stop          bool // the image cannot be made before the instance has been stopped
	Shutdown      bool // it can be stopped, and is when the image is begun
	Modify        bool // the instance gets ENA or SR-IOV support
	ListPrice     bool // it may run outside of the spot market,
	Priced        bool // where what it costs decides whether it is launched
	SpotPrice     bool // it may run on the spot market

	Profile          bool // the instance has a profile
	CheckProfile     bool // which is looked up first
	TemporaryProfile bool // which is made for the build
	SessionManager   bool // SSH goes through Systems Manager

	Image             bool // an image is made, or copied
	Copy              bool // to other regions, or to encrypt it
	ModifyImage       bool // it is shared, or described further
	ShareSnapshots    bool
	Deprecate         bool
	Protect           bool // from being deregistered
	Replace           bool // an image of the same name (force_deregister)
	Retire            bool // older releases (keep_releases)
	KeyOfYours        bool // a KMS key that is not AWS's encrypts it
	EncryptionDecides bool // whether it can be shared depends on how the account encrypts
	Public            bool // it is shared with everybody
	Resume            bool // an earlier run's remains are removed
}

// Optional begins the Sid of statements that a build does without: it then
// finds out less beforehand, and says what it could not do.
const Optional = "Optional"

// Required says that a build fails without the statement, or leaves something
// undone.
func (s Statement) Required() bool { return !strings.HasPrefix(s.Sid, Optional) }

// Least is the least policy for a build.
func Least(n Needs) Document {
	d := Document{Version: version}
	add := func(wanted bool, sid string, actions ...string) {
		if !wanted {
			return
		}
		for i, action := range actions {
			if !strings.Contains(action, ":") {
				actions[i] = "ec2:" + action
			}
		}
		for i := range d.Statement {
			if d.Statement[i].Sid == sid {
				d.Statement[i].Action = append(d.Statement[i].Action, actions...)
				return
			}
		}
		d.Statement = append(d.Statement, Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: Strings{"*"}})
	}
	add(true, "Build", "CreateTags", "DescribeImages")
	add(n.Instance, "Build", "DescribeInstances", "RunInstances", "TerminateInstances")
	add(n.Instance && n.Image, "Build", "CreateImage")
	add(n.Stop, "Build", "StopInstances")
	add(n.Modify, "Build", "ModifyInstanceAttribute")
	add(n.GivenSubnet, "Build", "DescribeSubnets")
	add(n.GivenVPC, "Build", "DescribeVpcs")
	add(n.Priced, "Build", "pricing:GetProducts")
	add(n.KeyPair, "KeyPair", "CreateKeyPair", "DeleteKeyPair")
	add(n.SecurityGroup, "SecurityGroup", "AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "DeleteSecurityGroup", "DescribeSecurityGroups")
	add(n.GivenGroup, "SecurityGroup", "DescribeSecurityGroups")
	add(n.Profile || n.TemporaryProfile, "Profile", "iam:PassRole")
	add(n.CheckProfile, "Profile", "iam:GetInstanceProfile")
	// From the documentation of AWS and the steps of packer-plugin-amazon; the
	// rehearsal has none of these.
	add(n.TemporaryProfile, "Profile", "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreateRole", "iam:DeleteInstanceProfile", "iam:DeleteRole",
		"iam:DeleteRolePolicy", "iam:GetInstanceProfile", "iam:GetRole", "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole")
	add(n.SessionManager, "SessionManager", "ssm:StartSession", "ssm:TerminateSession")
	// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
	add(n.KeyOfYours, "Keys", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo")
	add(n.Copy, "Copy", "CopyImage")
	add(n.ModifyImage, "Share", "ModifyImageAttribute")
	add(n.ShareSnapshots, "Share", "ModifySnapshotAttribute")
	add(n.Deprecate, "Share", "EnableImageDeprecation")
	add(n.Protect, "Share", "EnableImageDeregistrationProtection")
	add(n.Replace, "Replace", "RegisterImage")
	add(n.Retire, "Retire", "DescribeImageAttribute", "DescribeImageReferences", "DisableImage")
	add(n.Retire && !n.Deprecate, "Retire", "EnableImageDeprecation")
	add(n.Image, "CleanUp", "DeleteSnapshot", "DeregisterImage", "DescribeSnapshots")
	add(n.Protect, "CleanUp", "DisableImageDeregistrationProtection")

	add(true, "OptionalChecks", "DescribeRegions")
	add(n.Instance, "OptionalChecks", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "servicequotas:GetServiceQuota")
	add(n.GivenSubnet, "OptionalChecks", "DescribeRouteTables")
	add(n.EncryptionDecides, "OptionalChecks", "GetEbsDefaultKmsKeyId", "GetEbsEncryptionByDefault")
	add(n.Public, "OptionalChecks", "GetImageBlockPublicAccessState", "GetSnapshotBlockPublicAccessState")
	add(n.KeyOfYours, "OptionalChecks", "kms:GetKeyPolicy")
	add(n.Instance && !n.GivenSubnet, "OptionalPlaces", "DescribeSubnets")
	add(n.SpotPrice, "OptionalPrices", "DescribeSpotPriceHistory")
	add(n.ListPrice && !n.Priced, "OptionalPrices", "pricing:GetProducts")
	add(n.Shutdown && !n.Modify, "OptionalShutdown", "ModifyInstanceAttribute")
	add(n.Shutdown && !n.Stop, "OptionalShutdown", "StopInstances")
	add(n.Instance, "OptionalVolumes", "DeleteVolume", "DescribeVolumes")
	add(n.Resume, "OptionalRemains", "DescribeKeyPairs")
	for _, s := range d.Statement {
		slices.Sort(s.Action)
	}
	return d
}
