// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Publish,PublishS3,PublishSSM,PublishStackSet,OperationPreferences

package cfn

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
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

// set says whether there is a publish block.
func (p *Publish) set() bool { return !reflect.ValueOf(*p).IsZero() }

func (p *PublishSSM) set() bool      { return !reflect.ValueOf(*p).IsZero() }
func (p *PublishStackSet) set() bool { return !reflect.ValueOf(*p).IsZero() }

var (
	stackSetName = lazyregexp.New(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)
	unitID       = lazyregexp.New(`^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$`)
	parameterID  = lazyregexp.New(`^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
)

// prepare checks the block. It makes no call.
func (p *Publish) prepare(fail func(format string, args ...any)) {
	if !p.set() {
		return
	}
	if p.Version != "" && p.Version != unknown {
		if err := publish.CheckVersion(p.Version); err != nil {
			fail("publish.version: %w", err)
		}
	}
	p.S3.prepare(func(format string, args ...any) { fail("publish.s3."+format, args...) })
	if p.SSM.set() {
		p.SSM.prepare(func(format string, args ...any) { fail("publish.ssm."+format, args...) })
	}
	if p.StackSet.set() {
		p.StackSet.prepare(func(format string, args ...any) { fail("publish.stack_set."+format, args...) })
	}
}

func (s *PublishS3) prepare(fail func(format string, args ...any)) {
	if s.Bucket == "" {
		fail("bucket: not set; expected the name of a bucket, such as templates-{{ .Region }}")
	}
	two := [2]string{}
	for i, region := range []string{"us-east-1", "eu-west-1"} {
		bucket, err := publish.Expand(s.Bucket, publish.Words{Region: region})
		if err == nil {
			_, err = publish.Expand(s.KMSKeyID, publish.Words{Region: region})
		}
		if err != nil {
			fail("bucket, kms_key_id: %w", err)
			return
		}
		two[i] = bucket
	}
	if len(s.Regions) > 1 && two[0] == two[1] && s.Bucket != unknown {
		fail("bucket: %q is one bucket, for %d regions; expected {{ .Region }} in it", s.Bucket, len(s.Regions))
	}
	if s.Prefix != "" && !strings.HasSuffix(s.Prefix, "/") {
		s.Prefix += "/"
	}
	if strings.HasPrefix(s.Prefix, "/") || strings.Contains(s.Prefix, "//") || strings.Contains(s.Prefix, "latest/") {
		fail("prefix: %q; expected a prefix such as mining/, without an empty part and without the part latest", s.Prefix)
	}
	checkRegions(s.Regions, func(err error) { fail("regions: %w", err) })
	if s.ACL != "" && s.ACL != unknown && !slices.Contains(s3types.ObjectCannedACL("").Values(), s3types.ObjectCannedACL(s.ACL)) {
		fail("acl: %q; expected a canned ACL: %v", s.ACL, s3types.ObjectCannedACL("").Values())
	}
	if s.KeepVersions < 0 || s.KeepVersions == 1 {
		fail("keep_versions: %d; expected 0, which keeps all, or 2 and more: this one and one to go back to", s.KeepVersions)
	}
	if len(s.Tags) > 10 {
		fail("tags: %d of them; S3 takes at most 10", len(s.Tags))
	}
	if s.ExpectedBucketOwner != "" && s.ExpectedBucketOwner != unknown && !accountID.MatchString(s.ExpectedBucketOwner) {
		fail("expected_bucket_owner: %q; expected the 12 digits of an account's id", s.ExpectedBucketOwner)
	}
}

func (s *PublishSSM) prepare(fail func(format string, args ...any)) {
	if s.Name == "" && s.VersionedName == "" {
		fail("name: not set; expected the name of a parameter, such as /ethminer/ami, or versioned_name")
	}
	for option, pattern := range map[string]string{"name": s.Name, "versioned_name": s.VersionedName} {
		if pattern == "" || pattern == unknown {
			continue
		}
		name, err := publish.Expand(pattern, publish.Words{Region: "us-east-1", Attribute: "AMI", Version: "1"})
		switch lower := strings.ToLower(strings.TrimPrefix(name, "/")); {
		case err != nil:
			fail(option+": %w", err)
		case !parameterID.MatchString(name), strings.Contains(name[1:], "/") && name[0] != '/', strings.Count(name, "/") > 15:
			fail(option+": %q; expected letters, digits, dots, dashes and underscores, in up to 15 parts with a / before each", pattern)
		case strings.HasPrefix(lower, "aws"), strings.HasPrefix(lower, "ssm"):
			fail(option+": %q; names that begin with aws or ssm are AWS's own", pattern)
		case option == "versioned_name" && name == pattern:
			fail(option+": %q; expected {{ .Version }} in it", pattern)
		}
	}
	checkRegions(s.Regions, func(err error) { fail("regions: %w", err) })
	if s.Timeout < 0 {
		fail("timeout: %s; expected a time such as 10m", s.Timeout)
	}
}

func (s *PublishStackSet) prepare(fail func(format string, args ...any)) {
	if s.OnFailure == "" {
		s.OnFailure = publish.Keep
	}
	if s.PermissionModel == "" {
		s.PermissionModel = string(types.PermissionModelsSelfManaged)
		if len(s.OrganizationalUnits) > 0 {
			s.PermissionModel = string(types.PermissionModelsServiceManaged)
		}
	}
	if s.Name != unknown && !stackSetName.MatchString(s.Name) {
		fail("name: %q; expected up to 128 letters, digits and dashes, the first a letter", s.Name)
	}
	if s.AdminRegion != "" {
		checkRegions([]string{s.AdminRegion}, func(err error) { fail("admin_region: %w", err) })
	}
	checkRegions(s.Regions, func(err error) { fail("regions: %w", err) })
	if s.CanaryRegion != "" && len(s.Regions) > 0 && !slices.Contains(s.Regions, s.CanaryRegion) {
		fail("canary_region: %q; expected one of regions", s.CanaryRegion)
	}
	if (len(s.Accounts) == 0) == (len(s.OrganizationalUnits) == 0) {
		fail("accounts: %d of them and %d organizational_units; expected one or the other", len(s.Accounts), len(s.OrganizationalUnits))
	}
	for _, a := range s.Accounts {
		if a != unknown && !accountID.MatchString(a) {
			fail("accounts: %q; expected the 12 digits of an account's id", a)
		}
	}
	for _, u := range s.OrganizationalUnits {
		if u != unknown && !unitID.MatchString(u) {
			fail("organizational_units: %q; expected an id such as ou-ab12-cdefgh34, or that of the root", u)
		}
	}
	managed := s.PermissionModel == string(types.PermissionModelsServiceManaged)
	if managed != (len(s.OrganizationalUnits) > 0) {
		fail("permission_model: %q; expected SERVICE_MANAGED with organizational_units, and SELF_MANAGED with accounts", s.PermissionModel)
	}
	if managed && (s.AdministrationRoleARN != "" || s.ExecutionRoleName != "") {
		fail("administration_role_arn, execution_role_name: set; expected neither with SERVICE_MANAGED, which has roles of its own")
	}
	oneOf(fail, "on_failure", s.OnFailure, publish.Restore, publish.Keep)
	oneOf(fail, "call_as", s.CallAs, "", "SELF", "DELEGATED_ADMIN")
	for _, c := range s.Capabilities {
		oneOf(fail, "capabilities", c, "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
	}
	if s.Timeout < 0 {
		fail("timeout: %s; expected a time such as 45m", s.Timeout)
	}
	o := &s.OperationPreferences
	oneOf(fail, "operation_preferences.region_concurrency_type", o.RegionConcurrencyType, "", "SEQUENTIAL", "PARALLEL")
	oneOf(fail, "operation_preferences.concurrency_mode", o.ConcurrencyMode, "", "STRICT_FAILURE_TOLERANCE", "SOFT_FAILURE_TOLERANCE")
	if o.FailureToleranceCount != nil && o.FailureTolerancePercentage != nil {
		fail("operation_preferences: failure_tolerance_count and failure_tolerance_percentage are both set; expected one of them")
	}
	if o.MaxConcurrentCount != nil && o.MaxConcurrentPercentage != nil {
		fail("operation_preferences: max_concurrent_count and max_concurrent_percentage are both set; expected one of them")
	}
}

func checkRegions(regions []string, fail func(error)) {
	for i, r := range regions {
		switch {
		case r == unknown:
		case !cfntemplate.IsRegion(r):
			fail(fmt.Errorf("%q; expected a region such as us-east-1", r))
		case slices.Contains(regions[:i], r):
			fail(fmt.Errorf("%q is there twice", r))
		case slices.Contains(regions, unknown):
		case cfntemplate.Partition(r) != cfntemplate.Partition(regions[0]):
			fail(fmt.Errorf("%s and %s are of two partitions, which never see each other: publish in each with a post-processor of its own", regions[0], r))
		}
	}
}

func oneOf(fail func(format string, args ...any), option, value string, allowed ...string) {
	if value != unknown && !slices.Contains(allowed, value) {
		fail(option+": %q; expected %s", value, strings.Join(slices.DeleteFunc(allowed, func(s string) bool { return s == "" }), " or "))
	}
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
