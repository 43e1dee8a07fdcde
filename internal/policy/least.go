// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"slices"
	"strings"
)

// Needs lists the operations of a build that require permissions.
type Needs struct {
	Instance      bool // an instance is launched, and terminated: to build, or to test
	KeyPair       bool // a temporary key pair is created
	SecurityGroup bool // a temporary security group is created
	OpenPort      bool // and opens a port for SSH
	GivenGroup    bool // a security group is set, or found by a filter
	GivenSubnet   bool // the subnets are from a VPC, a list or a filter
	GivenVPC      bool // the VPC is found by a filter
	Stop          bool // the instance is stopped before the image is created
	Shutdown      bool // the instance is stopped once its snapshots have started
	Modify        bool // the instance gets ENA or SR-IOV support
	ListPrice     bool // the instance may be launched at the on-demand price
	Priced        bool // and its price decides whether it is launched
	SpotPrice     bool // the instance may be launched on the spot market
	Fleet         bool // a fleet may launch the instance
	CapacityBlock bool // the instance may be launched in a capacity block

	Profile          bool // the instance has a profile
	CheckProfile     bool // the profile is looked up first
	TemporaryProfile bool // a temporary profile is created
	SessionManager   bool // SSH uses Systems Manager
	SendKey          bool // and EC2 Instance Connect, to send the key of a key file

	LaunchTest bool // an instance of the image is launched and checked

	Image             bool // an image is created or copied
	Capture           bool // the image is created from the instance
	Copy              bool // the image is copied to other regions, or to encrypt it
	ModifyImage       bool // the image is shared, or its attributes are set
	ShareSnapshots    bool
	Deprecate         bool
	Protect           bool // deregistration protection is enabled
	Replace           bool // an image of the same name is replaced (force_deregister)
	ReplaceSnapshots  bool // and its snapshots are deleted (force_delete_snapshot)
	Retire            bool // older releases are retired (keep_releases)
	KeyOfYours        bool // a customer managed KMS key encrypts the image
	EncryptionDecides bool // sharing depends on the account's default encryption
	Public            bool // the image is public
	Resume            bool // leftovers of an earlier run are removed

	Publish  Publish
	Accounts Accounts
}

// Publish lists the operations of ethminer-cfn that the build knows of.
type Publish struct {
	Buckets, ACL, Tags, Prune, KMS bool // of S3
	Parameters                     bool
	StackSet, OwnRole, Overrides   bool
}

// Optional is the Sid prefix of statements that a build does not require. Without
// them it checks less, and reports the skipped operations.
const Optional = "Optional"

// Required reports whether a build without the statement fails or is incomplete.
func (s Statement) Required() bool { return !strings.HasPrefix(s.Sid, Optional) }

// The statements with conditions: own is for resources with the tag of a build, and
// tagNew for the tags of new resources.
const (
	own         = "Own"
	optionalOwn = Optional + own
	tagNew      = "TagNew"

	buildID = "ethminer:build-id" // internal/tags
)

// conditionOf returns the condition of a statement; nil for most.
func conditionOf(sid string, n Needs) Condition {
	switch sid {
	case own, optionalOwn:
		return Condition{"Null": {ResourceTag + buildID: {"false"}}}
	case tagNew:
		var creates Strings
		for _, c := range []struct {
			made   bool
			action string
		}{
			{n.Copy, "CopyImage"}, {n.Fleet, "CreateFleet"}, {n.Capture, "CreateImage"}, {n.KeyPair, "CreateKeyPair"}, {n.Fleet, "CreateLaunchTemplate"}, {n.SecurityGroup, "CreateSecurityGroup"},
			{n.Replace, "RegisterImage"}, {n.Instance, "RunInstances"},
		} {
			if c.made {
				creates = append(creates, c.action)
			}
		}
		return Condition{"StringEquals": {CreateAction: creates}}
	case grants:
		return n.Accounts.grantCondition()
	}
	return nil
}

// Least returns the minimum policy for a build.
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
		d.Statement = append(d.Statement, Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: Strings{"*"}, Condition: conditionOf(sid, n)})
	}
	add(true, "Build", "DescribeImages")
	add(n.Instance, "Build", "DescribeInstances", "RunInstances")
	add(n.Capture, "Build", "CreateImage")
	add(n.GivenSubnet, "Build", "DescribeSubnets")
	add(n.GivenVPC, "Build", "DescribeVpcs")
	add(n.Priced, "Build", "pricing:GetProducts")
	add(!n.ReplaceSnapshots, tagNew, "CreateTags")
	add(n.Image && !n.ReplaceSnapshots, own, "CreateTags")
	add(n.Instance, own, "TerminateInstances")
	add(n.Stop, own, "StopInstances")
	add(n.Modify, own, "ModifyInstanceAttribute")
	add(n.Fleet, "Fleet", "CreateFleet", "CreateLaunchTemplate")
	add(n.Fleet, own, "DeleteLaunchTemplate")
	add(n.KeyPair, "KeyPair", "CreateKeyPair")
	add(n.KeyPair, own, "DeleteKeyPair")
	add(n.SecurityGroup, "SecurityGroup", "CreateSecurityGroup")
	add(n.SecurityGroup, own, "DeleteSecurityGroup")
	add(n.OpenPort, own, "AuthorizeSecurityGroupIngress")
	add(n.GivenGroup, "SecurityGroup", "DescribeSecurityGroups")
	add(n.Profile || n.TemporaryProfile, "Profile", "iam:PassRole")
	add(n.CheckProfile, "Profile", "iam:GetInstanceProfile")
	add(n.TemporaryProfile, "Profile", "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreateRole", "iam:DeleteInstanceProfile", "iam:DeleteRole",
		"iam:DeleteRolePolicy", "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole")
	add(n.SessionManager, "SessionManager", "ssm:StartSession", "ssm:TerminateSession")
	add(n.SendKey, "SessionManager", "ec2-instance-connect:SendSSHPublicKey")
	// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
	add(n.KeyOfYours, "Keys", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo")
	add(n.Copy, "Copy", "CopyImage")
	add(n.ModifyImage, own, "ModifyImageAttribute")
	add(n.ShareSnapshots, own, "ModifySnapshotAttribute")
	add(n.Deprecate || n.Retire, own, "EnableImageDeprecation")
	add(n.Protect, own, "DisableImageDeregistrationProtection", "EnableImageDeregistrationProtection")
	// The replaced images may be another tool's, without the tag.
	add(n.Replace, "Replace", "DeregisterImage", "RegisterImage")
	add(n.ReplaceSnapshots, "Replace", "CreateTags", "DeleteSnapshot", "DescribeSnapshots")
	add(n.Retire, "Retire", "DescribeImageAttribute", "DescribeImageReferences")
	add(n.Retire, own, "DisableImage")
	add(n.Image && !n.Replace, own, "DeregisterImage")
	add(n.Image && !n.ReplaceSnapshots, own, "DeleteSnapshot")
	n.Accounts.add(add)
	p := n.Publish
	add(p.Buckets, "Publish", "s3:GetObject", "s3:ListBucket", "s3:PutObject")
	add(p.ACL, "Publish", "s3:PutObjectAcl")
	add(p.Tags, "Publish", "s3:PutObjectTagging")
	add(p.Prune, "Publish", "s3:DeleteObject")
	add(p.KMS, "Publish", "kms:Decrypt", "kms:GenerateDataKey")
	add(p.Parameters, "Publish", "ssm:GetParameter", "ssm:PutParameter")
	add(p.StackSet, "Publish", "cloudformation:CreateStackInstances", "cloudformation:CreateStackSet", "cloudformation:DescribeStackSet",
		"cloudformation:DescribeStackSetOperation", "cloudformation:ListStackInstances", "cloudformation:ListStackSetOperationResults",
		"cloudformation:ListStackSetOperations", "cloudformation:UpdateStackSet", "cloudformation:ValidateTemplate")
	add(p.Overrides, "Publish", "cloudformation:DescribeStackInstance", "cloudformation:UpdateStackInstances")
	add(p.OwnRole, "Publish", "iam:PassRole")

	add(true, "OptionalChecks", "DescribeRegions")
	add(n.Instance, "OptionalChecks", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "servicequotas:GetServiceQuota")
	add(n.CapacityBlock, "OptionalChecks", "DescribeCapacityReservations")
	add(n.GivenSubnet, "OptionalChecks", "DescribeRouteTables")
	add(n.EncryptionDecides, "OptionalChecks", "GetEbsDefaultKmsKeyId", "GetEbsEncryptionByDefault")
	add(n.Public, "OptionalChecks", "GetImageBlockPublicAccessState", "GetSnapshotBlockPublicAccessState")
	add(n.KeyOfYours, "OptionalChecks", "kms:GetKeyPolicy")
	add(n.EncryptionDecides && !n.KeyOfYours, "OptionalChecks", "kms:DescribeKey") // of an encrypted source image
	add(n.Instance && !n.GivenSubnet, "OptionalPlaces", "DescribeSubnets")
	add(n.SpotPrice, "OptionalPrices", "DescribeSpotPriceHistory")
	add((n.ListPrice || n.Image) && !n.Priced, "OptionalPrices", "pricing:GetProducts")
	add(n.Shutdown && !n.Modify, optionalOwn, "ModifyInstanceAttribute")
	add(n.Shutdown && !n.Stop, optionalOwn, "StopInstances")
	add(n.Instance, optionalOwn, "DeleteVolume")
	add(n.Instance, "OptionalVolumes", "DescribeVolumes")
	add(n.LaunchTest, "OptionalEvidence", "GetConsoleOutput")
	// The tunnel ends with its instance, and the Session Manager plugin resumes it after
	// an interruption. Otherwise the tunnel is started again.
	add(n.SessionManager, "OptionalSessionManager", "DescribeInstanceStatus", "ssm:ResumeSession")
	// These confirm removals, and find the result of a lost response.
	add(n.SecurityGroup, "OptionalRemains", "DescribeSecurityGroups")
	add(n.Image && !n.ReplaceSnapshots, "OptionalRemains", "DescribeSnapshots")
	add(n.KeyPair || n.Resume, "OptionalRemains", "DescribeKeyPairs")
	add(n.Fleet || n.Resume, "OptionalRemains", "DescribeLaunchTemplates")
	add(n.TemporaryProfile, "OptionalRemains", "iam:GetInstanceProfile", "iam:GetRole")
	add(n.TemporaryProfile && n.Resume, "OptionalRemains", "iam:ListInstanceProfiles", "iam:ListRoles")
	add(p.StackSet && !n.Retire, "OptionalPublishChecks", "DescribeImageAttribute")
	add(p.StackSet && !p.Overrides, "OptionalPublishChecks", "cloudformation:DescribeStackInstance")
	for _, s := range d.Statement {
		slices.Sort(s.Action)
	}
	return d
}
