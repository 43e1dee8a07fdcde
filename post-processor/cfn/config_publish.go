// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Publish,PublishS3,PublishSSM,PublishStackSet,OperationPreferences

package cfn

import (
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// Publish is a `publish` block: where the template goes once it is written. The
// steps are told in docs/publish.md.
type Publish struct {
	// What this version of the template is called in its key, once and for
	// ever: up to 128 letters, digits, dots, dashes and underscores. Default: the
	// SHA-256 of the template.
	Version string `mapstructure:"version"`
	// The buckets. Required where `publish` is set.
	S3 PublishS3 `mapstructure:"s3" required:"true"`
	// The parameters that name the images. Default: none.
	SSM PublishSSM `mapstructure:"ssm"`
	// The stack set that is made from the template. Default: none.
	StackSet PublishStackSet `mapstructure:"stack_set"`
}

// PublishS3 is an `s3` block: a bucket a region, which must be there.
type PublishS3 struct {
	// The name of the bucket, such as `templates-{{ .Region }}`; with several
	// regions it needs `{{ .Region }}`.
	Bucket string `mapstructure:"bucket" required:"true"`
	// What the keys begin with, such as `mining/`. Default: nothing.
	Prefix string `mapstructure:"prefix"`
	// The regions. The first one decides which of two builds at the same time
	// wins, so all that publish this template must have the same first one.
	// Default: the regions of the build's images, by name.
	Regions []string `mapstructure:"regions"`
	// A canned ACL for the templates, such as `public-read`. Default: none, as
	// buckets want that are made today.
	ACL string `mapstructure:"acl"`
	// The KMS key that encrypts the objects; may hold `{{ .Region }}`. Default:
	// the bucket's own encryption.
	KMSKeyID string `mapstructure:"kms_key_id"`
	// Tags of the objects. Default: none.
	Tags map[string]string `mapstructure:"tags"`
	// How many versions can be gone back to, this one included, at least 2;
	// older ones are removed. Default: `0`, which removes none.
	KeepVersions int `mapstructure:"keep_versions"`
	// The id of the account that must own the buckets, 12 digits, so that
	// nobody else's bucket of that name is written to. Default: not checked.
	ExpectedBucketOwner string `mapstructure:"expected_bucket_owner"`
}

// PublishSSM is an `ssm` block: a parameter of data type `aws:ec2:image` a region.
type PublishSSM struct {
	// The name of the parameter that always has the newest image, such as
	// `/ethminer/ami`. Where the template has an image for each of several
	// `attributes` it needs `{{ .Attribute }}`. `name` or `versioned_name` is
	// required.
	Name string `mapstructure:"name"`
	// The name of a parameter that is of this version for ever, such as
	// `/ethminer/{{ .Version }}/ami`. Default: none.
	VersionedName string `mapstructure:"versioned_name"`
	// The regions. Default: every region of the map that has an image, in the
	// partition of the buckets.
	Regions []string `mapstructure:"regions"`
	// How long SSM is given to look at an image, such as `10m`. Default: `5m`.
	Timeout time.Duration `mapstructure:"timeout"`
}

// PublishStackSet is a `stack_set` block.
type PublishStackSet struct {
	// The name of the stack set. It is made if there is none.
	Name string `mapstructure:"name" required:"true"`
	// The region that the set itself is in. Default: `region`, else the first
	// region of `s3`.
	AdminRegion string `mapstructure:"admin_region"`
	// The regions that are to have stacks. Default: those of `s3`.
	Regions []string `mapstructure:"regions"`
	// The accounts that are to have stacks, 12 digits each. Either `accounts` or
	// `organizational_units` is required.
	Accounts []string `mapstructure:"accounts"`
	// The organizational units, such as `ou-ab12-cdefgh34`, or the root, whose
	// accounts are to have stacks.
	OrganizationalUnits []string `mapstructure:"organizational_units"`
	// The region that is done first, on its own; the others follow when it is
	// well. Default: none.
	CanaryRegion string `mapstructure:"canary_region"`
	// What becomes of a set when an operation fails: `keep` (default) leaves the
	// new template in it, `rollback` gives it the one that it had.
	OnFailure string `mapstructure:"on_failure"`
	// The template's parameters. One that is left out keeps the value that the
	// set has, or takes the template's default. Default: none.
	Parameters map[string]string `mapstructure:"parameters"`
	// What the template may do: `CAPABILITY_IAM`, `CAPABILITY_NAMED_IAM`,
	// `CAPABILITY_AUTO_EXPAND`. Default: none.
	Capabilities []string `mapstructure:"capabilities"`
	// The ARN of a role of your own that administrates the set.
	// Default: `AWSCloudFormationStackSetAdministrationRole`.
	AdministrationRoleARN string `mapstructure:"administration_role_arn"`
	// The name of the role that makes the stacks in each account.
	// Default: `AWSCloudFormationStackSetExecutionRole`.
	ExecutionRoleName string `mapstructure:"execution_role_name"`
	// `SELF_MANAGED` or `SERVICE_MANAGED`. Default: `SERVICE_MANAGED` with
	// `organizational_units`, else `SELF_MANAGED`.
	PermissionModel string `mapstructure:"permission_model"`
	// `SELF` (default), or `DELEGATED_ADMIN` in a member account that
	// administrates the organization's sets.
	CallAs string `mapstructure:"call_as"`
	// Let CloudFormation run operations that do not conflict at the same time,
	// and queue those that do. Default: `false`.
	ManagedExecution bool `mapstructure:"managed_execution"`
	// How an operation goes through accounts and regions.
	OperationPreferences OperationPreferences `mapstructure:"operation_preferences"`
	// How long one operation may take, and how long another's end is waited for
	// before it, such as `45m`. Default: `2h`.
	Timeout time.Duration `mapstructure:"timeout"`
}

// OperationPreferences is an `operation_preferences` block, CloudFormation's
// [StackSetOperationPreferences](https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html).
type OperationPreferences struct {
	// The order of the regions; all of them or none.
	RegionOrder []string `mapstructure:"region_order"`
	// `SEQUENTIAL` or `PARALLEL`. Default: CloudFormation's, `SEQUENTIAL`.
	RegionConcurrencyType string `mapstructure:"region_concurrency_type"`
	// `STRICT_FAILURE_TOLERANCE` or `SOFT_FAILURE_TOLERANCE`.
	ConcurrencyMode string `mapstructure:"concurrency_mode"`
	// In how many accounts of a region an operation may fail and go on. Default:
	// CloudFormation's, none.
	FailureToleranceCount *int32 `mapstructure:"failure_tolerance_count"`
	// The same as a percentage of the accounts.
	FailureTolerancePercentage *int32 `mapstructure:"failure_tolerance_percentage"`
	// In how many accounts of a region it works at the same time. Default:
	// CloudFormation's, one.
	MaxConcurrentCount *int32 `mapstructure:"max_concurrent_count"`
	// The same as a percentage of the accounts.
	MaxConcurrentPercentage *int32 `mapstructure:"max_concurrent_percentage"`
}

// spec is what the block says, of a template whose images are in regions.
func (c *Config) spec(images map[string]string) publish.Spec {
	p := c.Publish
	spec := publish.Spec{
		Name: filepath.Base(c.target()), Version: p.Version, Mapping: c.Mapping, Attributes: c.published(),
		S3: publish.S3{
			Bucket: p.S3.Bucket, Prefix: p.S3.Prefix, Regions: p.S3.Regions, ACL: p.S3.ACL, KMSKeyID: p.S3.KMSKeyID, Tags: p.S3.Tags,
			KeepVersions: p.S3.KeepVersions, Owner: p.S3.ExpectedBucketOwner,
		},
	}
	if len(spec.S3.Regions) == 0 {
		spec.S3.Regions = slices.Sorted(maps.Keys(images))
	}
	if p.SSM.set() {
		spec.SSM = &publish.SSM{Name: p.SSM.Name, VersionedName: p.SSM.VersionedName, Regions: p.SSM.Regions, Timeout: p.SSM.Timeout}
	}
	if p.StackSet.set() {
		spec.StackSet = p.StackSet.spec()
		if spec.StackSet.Region == "" && len(spec.S3.Regions) > 0 {
			spec.StackSet.Region = spec.S3.Regions[0]
		}
		if len(spec.StackSet.Regions) == 0 {
			spec.StackSet.Regions = spec.S3.Regions
		}
	}
	return spec
}

func (s *PublishStackSet) spec() *publish.StackSet {
	o := s.OperationPreferences
	return &publish.StackSet{
		Name: s.Name, Region: s.AdminRegion, Regions: s.Regions, Accounts: s.Accounts, OrganizationalUnits: s.OrganizationalUnits,
		CanaryRegion: s.CanaryRegion, OnFailure: s.OnFailure, Parameters: s.Parameters, Capabilities: s.Capabilities,
		AdministrationRoleARN: s.AdministrationRoleARN, ExecutionRoleName: s.ExecutionRoleName, PermissionModel: s.PermissionModel,
		CallAs: s.CallAs, ManagedExecution: s.ManagedExecution, Timeout: s.Timeout,
		Preferences: publish.Preferences{
			RegionOrder: o.RegionOrder, RegionConcurrencyType: o.RegionConcurrencyType, ConcurrencyMode: o.ConcurrencyMode,
			FailureToleranceCount: o.FailureToleranceCount, FailureTolerancePercentage: o.FailureTolerancePercentage,
			MaxConcurrentCount: o.MaxConcurrentCount, MaxConcurrentPercentage: o.MaxConcurrentPercentage,
		},
	}
}

// published are the attributes that the parameters are made of.
func (c *Config) published() []string {
	if len(c.Attributes) == 0 {
		return []string{c.Attribute}
	}
	all := slices.Collect(maps.Values(c.Attributes))
	if c.Attribute != "" {
		all = append(all, c.Attribute)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}
