// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Publish,PublishS3,PublishSSM,PublishStackSet,ParameterOverrides,AutoDeployment,OperationPreferences

package cfnsettings

import (
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// Publish is a `publish` block: where to publish the template after it is
// written. docs/publish.md describes the steps.
type Publish struct {
	// The version of the template, part of its S3 key: up to 128 letters, digits,
	// dots, dashes and underscores. The content of a version never changes.
	// Default: the SHA-256 of the template.
	Version string `mapstructure:"version"`
	// The S3 buckets. Required if `publish` is set.
	S3 PublishS3 `mapstructure:"s3" required:"true"`
	// The SSM parameters that hold the image ids. Default: none.
	SSM PublishSSM `mapstructure:"ssm"`
	// The stack set that uses the template. Default: none.
	StackSet PublishStackSet `mapstructure:"stack_set"`
}

// PublishS3 is an `s3` block: one bucket for each region. The buckets must exist.
type PublishS3 struct {
	// The name of the bucket, such as `templates-{{ .Region }}`. It must contain
	// `{{ .Region }}` if there are several regions.
	Bucket string `mapstructure:"bucket" required:"true"`
	// The prefix of all keys, such as `mining/`. Default: none.
	Prefix string `mapstructure:"prefix"`
	// The regions to publish to. The first region decides which of two concurrent
	// builds wins, so every configuration that publishes this template must have
	// the same first region. Default: the regions of the build's images, sorted by
	// name.
	Regions []string `mapstructure:"regions"`
	// A canned ACL for the templates, such as `public-read`. Default: none; new
	// buckets do not accept ACLs.
	ACL string `mapstructure:"acl"`
	// The KMS key that encrypts the objects. It may contain `{{ .Region }}`.
	// Default: the bucket's default encryption.
	KMSKeyID string `mapstructure:"kms_key_id"`
	// Tags of the objects, at most 10. Default: none.
	Tags map[string]string `mapstructure:"tags"`
	// How many versions to keep for rollback, including this one, at least 2. Older
	// versions are deleted. Default: `0`, which keeps all versions.
	KeepVersions int `mapstructure:"keep_versions"`
	// The id of the account that must own the buckets, 12 digits. It prevents
	// writes to a bucket of that name in another account. Default: not checked.
	ExpectedBucketOwner string `mapstructure:"expected_bucket_owner"`
}

// PublishSSM is an `ssm` block: a parameter of data type `aws:ec2:image` in each
// region.
type PublishSSM struct {
	// The name of the parameter that always holds the newest image id, such as
	// `/ethminer/ami`. It must contain `{{ .Attribute }}` if several `attributes`
	// have images. At least one of `name` and `versioned_name` is required.
	Name string `mapstructure:"name"`
	// The name of a parameter that holds the image id of this version and never
	// changes, such as `/ethminer/{{ .Version }}/ami`. It must contain
	// `{{ .Version }}`. Default: none.
	VersionedName string `mapstructure:"versioned_name"`
	// The regions of the parameters. Default: the regions whose images this build
	// writes into the map.
	Regions []string `mapstructure:"regions"`
	// How long to wait for SSM to validate an image, such as `10m`. Default: `5m`.
	Timeout time.Duration `mapstructure:"timeout"`
}

// PublishStackSet is a `stack_set` block.
type PublishStackSet struct {
	// The name of the stack set. It is created if it does not exist.
	Name string `mapstructure:"name" required:"true"`
	// The region of the stack set itself. Default: `region`, else the first region
	// of `s3`.
	AdminRegion string `mapstructure:"admin_region"`
	// The regions of the stack instances. Default: the regions of `s3`.
	Regions []string `mapstructure:"regions"`
	// The accounts of the stack instances, 12 digits each. Either `accounts` or
	// `organizational_units` is required. Default: none.
	Accounts []string `mapstructure:"accounts"`
	// The organizational units, such as `ou-ab12-cdefgh34`, or the root, whose
	// accounts get stack instances. Default: none.
	OrganizationalUnits []string `mapstructure:"organizational_units"`
	// Whether accounts that join the organizational units later get stacks.
	// See [auto_deployment](#auto_deployment). Default: not changed; a new stack set
	// does not deploy automatically.
	AutoDeployment AutoDeployment `mapstructure:"auto_deployment"`
	// The region to update first, on its own. The other regions follow if it
	// succeeds. Default: none.
	CanaryRegion string `mapstructure:"canary_region"`
	// How to handle a failed operation: `keep` leaves the new template in the stack
	// set, `rollback` restores the previous template and overrides. Nothing is
	// restored after an operation that somebody has stopped, or that continues after
	// `timeout`. Default: `keep`.
	OnFailure string `mapstructure:"on_failure"`
	// Values of the template's parameters. A parameter that is not listed keeps its
	// value in the stack set, or takes the template's default. Default: none.
	Parameters map[string]string `mapstructure:"parameters"`
	// Values of the template's parameters in single regions or accounts, such as the
	// subnets. See [parameter_overrides](#parameter_overrides). Default: none.
	ParameterOverrides []ParameterOverrides `mapstructure:"parameter_overrides"`
	// The capabilities that the template requires: `CAPABILITY_IAM`,
	// `CAPABILITY_NAMED_IAM`, `CAPABILITY_AUTO_EXPAND`. Default: none.
	Capabilities []string `mapstructure:"capabilities"`
	// The ARN of a custom role that administers the stack set.
	// Default: `AWSCloudFormationStackSetAdministrationRole`.
	AdministrationRoleARN string `mapstructure:"administration_role_arn"`
	// The name of the role that creates the stacks in each account.
	// Default: `AWSCloudFormationStackSetExecutionRole`.
	ExecutionRoleName string `mapstructure:"execution_role_name"`
	// `SELF_MANAGED` or `SERVICE_MANAGED`. Default: `SERVICE_MANAGED` with
	// `organizational_units`, else `SELF_MANAGED`.
	PermissionModel string `mapstructure:"permission_model"`
	// `SELF`, or `DELEGATED_ADMIN` in a member account that is a delegated
	// administrator. Default: `SELF`.
	CallAs string `mapstructure:"call_as"`
	// Let CloudFormation run operations that do not conflict at the same time, and
	// queue those that conflict. It cannot be changed while an operation is in
	// progress or queued. Default: `false`.
	ManagedExecution bool `mapstructure:"managed_execution"`
	// How an operation proceeds through accounts and regions. Default:
	// CloudFormation's defaults.
	OperationPreferences OperationPreferences `mapstructure:"operation_preferences"`
	// How long one operation may take, and how long to wait for another operation
	// to end before it starts, such as `45m`. Default: `2h`.
	Timeout time.Duration `mapstructure:"timeout"`
}

// ParameterOverrides is a `parameter_overrides` block; it can be repeated. It gives
// parameters other values in some of the stacks. If several blocks set a parameter of
// a stack, the last one applies. Publishing rolls out changed values, and resets a
// parameter that no block sets any more to the stack set's value.
type ParameterOverrides struct {
	// The regions of the stacks. At least one of `regions` and `accounts` is required.
	// Default: all regions of the stack set.
	Regions []string `mapstructure:"regions"`
	// The accounts of the stacks, 12 digits each. With `organizational_units`, accounts
	// that belong to these units when their stacks are created. Default: all accounts.
	Accounts []string `mapstructure:"accounts"`
	// The values of the parameters, by name. A parameter without a default also needs
	// a value in `parameters`, which CloudFormation requires. The value of a `NoEcho`
	// parameter cannot be compared with that of the stack, so each publication sends
	// it.
	Parameters map[string]string `mapstructure:"parameters" required:"true"`
}

// AutoDeployment is an `auto_deployment` block. It requires `organizational_units`.
// CloudFormation then creates stacks in accounts that join the units, with the values
// of the stack set; the next publication gives them their `parameter_overrides`.
// A change of this setting updates all stacks of the set, as CloudFormation requires.
type AutoDeployment struct {
	// Create stacks in accounts that join the organizational units. Default: not
	// changed.
	Enabled config.Trilean `mapstructure:"enabled"`
	// Keep the stacks of accounts that leave the units. Otherwise CloudFormation
	// deletes them. Requires `enabled = true`. Default: `false`.
	RetainStacksOnAccountRemoval bool `mapstructure:"retain_stacks_on_account_removal"`
}

// OperationPreferences is an `operation_preferences` block, CloudFormation's
// [StackSetOperationPreferences](https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html).
type OperationPreferences struct {
	// The order of the regions. List all of them or none. Default: none.
	RegionOrder []string `mapstructure:"region_order"`
	// `SEQUENTIAL` or `PARALLEL`. Default: CloudFormation's, `SEQUENTIAL`.
	RegionConcurrencyType string `mapstructure:"region_concurrency_type"`
	// `STRICT_FAILURE_TOLERANCE` runs an operation in at most one more account at the
	// same time than may fail, so that no more than that many fail.
	// `SOFT_FAILURE_TOLERANCE` does not limit the concurrency, so more accounts than
	// the tolerance may fail. Default: CloudFormation's, `STRICT_FAILURE_TOLERANCE`.
	ConcurrencyMode string `mapstructure:"concurrency_mode"`
	// The number of accounts per region in which an operation may fail before it
	// stops in that region. Default: `0`, as in CloudFormation.
	FailureToleranceCount *int32 `mapstructure:"failure_tolerance_count"`
	// The same as a percentage of the accounts, instead of
	// `failure_tolerance_count`. Default: `0`, as in CloudFormation.
	FailureTolerancePercentage *int32 `mapstructure:"failure_tolerance_percentage"`
	// The maximum number of accounts per region in which an operation runs at the
	// same time. With `STRICT_FAILURE_TOLERANCE` it has an effect only up to the
	// failure tolerance plus 1: 10 accounts at a time need a
	// `failure_tolerance_count` of 9. The plan prints the number that applies.
	// Default: `1`, as in CloudFormation.
	MaxConcurrentCount *int32 `mapstructure:"max_concurrent_count"`
	// The same as a percentage of the accounts, instead of `max_concurrent_count`.
	// Default: none.
	MaxConcurrentPercentage *int32 `mapstructure:"max_concurrent_percentage"`
}

// Spec returns the publication of a template that contains the images.
func (s *Settings) Spec(images []cfntemplate.Image) publish.Spec {
	p := s.Publish
	var filled []string
	for _, image := range images {
		filled = append(filled, image.Region)
	}
	slices.Sort(filled)
	filled = slices.Compact(filled)
	spec := publish.Spec{
		Name: filepath.Base(s.Target()), Version: p.Version, Mapping: s.Mapping, Attributes: s.published(), TrustImages: s.VerifyAMIs.False(),
		S3: publish.S3{
			Bucket: p.S3.Bucket, Prefix: p.S3.Prefix, Regions: p.S3.Regions, ACL: p.S3.ACL, KMSKeyID: p.S3.KMSKeyID, Tags: p.S3.Tags,
			KeepVersions: p.S3.KeepVersions, Owner: p.S3.ExpectedBucketOwner,
		},
	}
	if len(spec.S3.Regions) == 0 {
		spec.S3.Regions = filled
	}
	if p.SSM.IsSet() {
		spec.SSM = &publish.SSM{Name: p.SSM.Name, VersionedName: p.SSM.VersionedName, Regions: p.SSM.Regions, Timeout: p.SSM.Timeout}
		if len(spec.SSM.Regions) == 0 {
			spec.SSM.Regions = filled
		}
	}
	if p.StackSet.IsSet() {
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

func (s *PublishStackSet) spec() *stackset.Config {
	o := s.OperationPreferences
	var overrides []stackset.Override
	for _, b := range s.ParameterOverrides {
		overrides = append(overrides, stackset.NewOverride(b.Regions, b.Accounts, b.Parameters))
	}
	var auto *stackset.AutoDeployment
	if s.AutoDeployment.Enabled != config.TriUnset {
		auto = &stackset.AutoDeployment{Enabled: s.AutoDeployment.Enabled.True(), Retain: s.AutoDeployment.RetainStacksOnAccountRemoval}
	}
	return &stackset.Config{
		Name: s.Name, Region: s.AdminRegion, Regions: s.Regions, Accounts: s.Accounts, OrganizationalUnits: s.OrganizationalUnits,
		CanaryRegion: s.CanaryRegion, OnFailure: s.OnFailure, Parameters: s.Parameters, Overrides: overrides, AutoDeployment: auto, Capabilities: s.Capabilities,
		AdministrationRoleARN: s.AdministrationRoleARN, ExecutionRoleName: s.ExecutionRoleName, PermissionModel: s.PermissionModel,
		CallAs: s.CallAs, ManagedExecution: s.ManagedExecution, Timeout: s.Timeout,
		Preferences: stackset.Preferences{
			RegionOrder: o.RegionOrder, RegionConcurrencyType: o.RegionConcurrencyType, ConcurrencyMode: o.ConcurrencyMode,
			FailureToleranceCount: o.FailureToleranceCount, FailureTolerancePercentage: o.FailureTolerancePercentage,
			MaxConcurrentCount: o.MaxConcurrentCount, MaxConcurrentPercentage: o.MaxConcurrentPercentage,
		},
	}
}

// published returns the attributes to publish.
func (s *Settings) published() []string {
	if len(s.Attributes) == 0 {
		return []string{s.Attribute}
	}
	all := slices.Collect(maps.Values(s.Attributes))
	if s.Attribute != "" {
		all = append(all, s.Attribute)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}
