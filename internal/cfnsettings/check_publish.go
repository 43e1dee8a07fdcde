// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// IsSet reports whether the publish block is set.
func (p *Publish) IsSet() bool { return !reflect.ValueOf(*p).IsZero() }

// IsSet reports whether the ssm block is set.
func (s *PublishSSM) IsSet() bool { return !reflect.ValueOf(*s).IsZero() }

// IsSet reports whether the stack_set block is set.
func (s *PublishStackSet) IsSet() bool { return !reflect.ValueOf(*s).IsZero() }

var (
	stackSetName = lazyregexp.New(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)
	unitID       = lazyregexp.New(`^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$`)
	roleARN      = lazyregexp.New(`^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7e]+$`)
	roleName     = lazyregexp.New(`^[\w+=,.@-]{1,64}$`)
	logicalID    = lazyregexp.New(`^[A-Za-z0-9]{1,255}$`)
	kmsKey       = lazyregexp.New(`^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:)?(alias/[A-Za-z0-9/_-]+|(key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}))$`)
	parameterID  = lazyregexp.New(`^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
)

// prepare checks the block. It makes no AWS calls.
func (p *Publish) prepare(fail func(format string, args ...any)) {
	if !p.IsSet() {
		return
	}
	if p.Version != "" && p.Version != hclvalue.Unknown {
		if err := publish.CheckVersion(p.Version); err != nil {
			fail("publish.version: %w", err)
		}
	}
	p.S3.prepare(func(format string, args ...any) { fail("publish.s3."+format, args...) })
	if p.SSM.IsSet() {
		p.SSM.prepare(func(format string, args ...any) { fail("publish.ssm."+format, args...) })
	}
	if p.StackSet.IsSet() {
		p.StackSet.prepare(func(format string, args ...any) { fail("publish.stack_set."+format, args...) })
	}
}

func (s *PublishS3) prepare(fail func(format string, args ...any)) {
	if s.Bucket == "" {
		fail("bucket: not set; expected the name of a bucket, such as templates-{{ .Region }}")
	}
	two, key := [2]string{}, ""
	for i, region := range []string{"us-east-1", "eu-west-1"} {
		bucket, err := publish.Expand(s.Bucket, publish.Words{Region: region})
		if err == nil {
			key, err = publish.Expand(s.KMSKeyID, publish.Words{Region: region})
		}
		if err != nil {
			fail("bucket, kms_key_id: %w", err)
			return
		}
		two[i] = bucket
	}
	if key != "" && s.KMSKeyID != hclvalue.Unknown && !kmsKey.MatchString(key) {
		fail("kms_key_id: got %q, want the id, alias (alias/NAME) or ARN of a KMS key", s.KMSKeyID)
	}
	if len(s.Regions) > 1 && two[0] == two[1] && s.Bucket != hclvalue.Unknown {
		fail("bucket: %q is one bucket for %d regions; expected a name with {{ .Region }}", s.Bucket, len(s.Regions))
	}
	if s.Prefix != "" && !strings.HasSuffix(s.Prefix, "/") {
		s.Prefix += "/"
	}
	if strings.HasPrefix(s.Prefix, "/") || strings.Contains(s.Prefix, "//") || strings.Contains(s.Prefix, "latest/") {
		fail("prefix: got %q, want a prefix such as mining/, without empty parts and without latest/", s.Prefix)
	}
	checkRegions(fail, "regions", s.Regions...)
	if s.ACL != "" && s.ACL != hclvalue.Unknown && !slices.Contains(s3types.ObjectCannedACL("").Values(), s3types.ObjectCannedACL(s.ACL)) {
		fail("acl: got %q, want a canned ACL: %v", s.ACL, s3types.ObjectCannedACL("").Values())
	}
	if s.KeepVersions < 0 || s.KeepVersions == 1 {
		fail("keep_versions: got %d, want 0 (keep all), or at least 2 (this version and one to roll back to)", s.KeepVersions)
	}
	if len(s.Tags) > 10 {
		fail("tags: got %d, want at most 10", len(s.Tags))
	}
	if s.ExpectedBucketOwner != "" && s.ExpectedBucketOwner != hclvalue.Unknown && !accountID.MatchString(s.ExpectedBucketOwner) {
		fail("expected_bucket_owner: got %q, want a 12-digit account id", s.ExpectedBucketOwner)
	}
}

func (s *PublishSSM) prepare(fail func(format string, args ...any)) {
	if s.Name == "" && s.VersionedName == "" {
		fail("name: not set; expected the name of a parameter, such as /ethminer/ami, or versioned_name")
	}
	for option, pattern := range map[string]string{"name": s.Name, "versioned_name": s.VersionedName} {
		if pattern == "" || pattern == hclvalue.Unknown {
			continue
		}
		name, err := publish.Expand(pattern, publish.Words{Region: "us-east-1", Attribute: "AMI", Version: "1"})
		switch lower := strings.ToLower(strings.TrimPrefix(name, "/")); {
		case err != nil:
			fail(option+": %w", err)
		case !parameterID.MatchString(name), strings.Contains(name[1:], "/") && name[0] != '/', strings.Count(name, "/") > 15:
			fail(option+": got %q, want letters, digits, dots, dashes and underscores, in up to 15 parts, each after a /", pattern)
		case strings.HasPrefix(lower, "aws"), strings.HasPrefix(lower, "ssm"):
			fail(option+": %q; names that begin with aws or ssm are reserved by AWS", pattern)
		case option == "versioned_name" && name == pattern:
			fail(option+": got %q, want {{ .Version }} in it", pattern)
		}
	}
	checkRegions(fail, "regions", s.Regions...)
	if s.Timeout < 0 {
		fail("timeout: got %s, want a duration such as 10m", s.Timeout)
	}
}

func (s *PublishStackSet) prepare(fail func(format string, args ...any)) {
	if s.OnFailure == "" {
		s.OnFailure = stackset.Keep
	}
	if s.PermissionModel == "" {
		s.PermissionModel = string(types.PermissionModelsSelfManaged)
		if len(s.OrganizationalUnits) > 0 {
			s.PermissionModel = string(types.PermissionModelsServiceManaged)
		}
	}
	if s.Name != hclvalue.Unknown && !stackSetName.MatchString(s.Name) {
		fail("name: got %q, want up to 128 letters, digits and dashes, starting with a letter", s.Name)
	}
	if s.AdminRegion != "" {
		checkRegions(fail, "admin_region", s.AdminRegion)
	}
	checkRegions(fail, "regions", s.Regions...)
	if s.CanaryRegion != "" && !slices.Contains(s.Regions, s.CanaryRegion) {
		checkRegions(fail, "canary_region", s.CanaryRegion)
	}
	if s.CanaryRegion != "" && s.CanaryRegion != hclvalue.Unknown && len(s.Regions) > 0 && !slices.Contains(s.Regions, hclvalue.Unknown) && !slices.Contains(s.Regions, s.CanaryRegion) {
		fail("canary_region: got %q, want one of regions", s.CanaryRegion)
	}
	if (len(s.Accounts) == 0) == (len(s.OrganizationalUnits) == 0) {
		fail("accounts: got %d accounts and %d organizational_units; expected one or the other", len(s.Accounts), len(s.OrganizationalUnits))
	}
	for _, a := range s.Accounts {
		if a != hclvalue.Unknown && !accountID.MatchString(a) {
			fail("accounts: got %q, want a 12-digit account id", a)
		}
	}
	for _, u := range s.OrganizationalUnits {
		if u != hclvalue.Unknown && !unitID.MatchString(u) {
			fail("organizational_units: got %q, want an id such as ou-ab12-cdefgh34, or the id of the root", u)
		}
	}
	managed := s.PermissionModel == string(types.PermissionModelsServiceManaged)
	if managed != (len(s.OrganizationalUnits) > 0) {
		fail("permission_model: got %q, want SERVICE_MANAGED with organizational_units, and SELF_MANAGED with accounts", s.PermissionModel)
	}
	if managed && (s.AdministrationRoleARN != "" || s.ExecutionRoleName != "") {
		fail("administration_role_arn, execution_role_name: set; expected neither with SERVICE_MANAGED, which creates its own roles")
	}
	if s.AdministrationRoleARN != "" && s.AdministrationRoleARN != hclvalue.Unknown && !roleARN.MatchString(s.AdministrationRoleARN) {
		fail("administration_role_arn: got %q, want the ARN of a role, such as arn:aws:iam::123456789012:role/NAME", s.AdministrationRoleARN)
	}
	if s.ExecutionRoleName != "" && s.ExecutionRoleName != hclvalue.Unknown && !roleName.MatchString(s.ExecutionRoleName) {
		fail("execution_role_name: got %q, want the name of a role: up to 64 letters, digits and +=,.@_-", s.ExecutionRoleName)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		if name != hclvalue.Unknown && !logicalID.MatchString(name) {
			fail("parameters: got the name %q, want the name of a parameter of the template, letters and digits only", name)
		}
	}
	for i := range s.ParameterOverrides {
		s.ParameterOverrides[i].prepare(s, func(format string, args ...any) { fail(fmt.Sprintf("parameter_overrides[%d].", i)+format, args...) })
	}
	switch a := s.AutoDeployment; {
	case a.Enabled != config.TriUnset && !managed:
		fail("auto_deployment: set; expected it only with organizational_units; remove it")
	case a.RetainStacksOnAccountRemoval && !a.Enabled.True():
		fail("auto_deployment.retain_stacks_on_account_removal: set; expected it only with enabled = true")
	}
	oneOf(fail, "on_failure", s.OnFailure, stackset.Restore, stackset.Keep)
	oneOf(fail, "call_as", s.CallAs, "", "SELF", "DELEGATED_ADMIN")
	for _, c := range s.Capabilities {
		oneOf(fail, "capabilities", c, "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
	}
	if s.Timeout < 0 {
		fail("timeout: got %s, want a duration such as 45m", s.Timeout)
	}
	o := &s.OperationPreferences
	oneOf(fail, "operation_preferences.region_concurrency_type", o.RegionConcurrencyType, "", "SEQUENTIAL", "PARALLEL")
	oneOf(fail, "operation_preferences.concurrency_mode", o.ConcurrencyMode, "", "STRICT_FAILURE_TOLERANCE", "SOFT_FAILURE_TOLERANCE")
	checkRegions(fail, "operation_preferences.region_order", o.RegionOrder...)
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html
	atLeast(fail, "operation_preferences.failure_tolerance_count", o.FailureToleranceCount, 0)
	between(fail, "operation_preferences.failure_tolerance_percentage", o.FailureTolerancePercentage, 0, 100)
	atLeast(fail, "operation_preferences.max_concurrent_count", o.MaxConcurrentCount, 1)
	between(fail, "operation_preferences.max_concurrent_percentage", o.MaxConcurrentPercentage, 1, 100)
	if o.FailureToleranceCount != nil && o.FailureTolerancePercentage != nil {
		fail("operation_preferences: failure_tolerance_count and failure_tolerance_percentage are both set; expected one of them")
	}
	if o.MaxConcurrentCount != nil && o.MaxConcurrentPercentage != nil {
		fail("operation_preferences: max_concurrent_count and max_concurrent_percentage are both set; expected one of them")
	}
}

func (o *ParameterOverrides) prepare(s *PublishStackSet, fail func(format string, args ...any)) {
	if len(o.Regions) == 0 && len(o.Accounts) == 0 {
		fail("regions: not set, nor accounts; expected one of them; set the parameters of all stacks in parameters")
	}
	if len(o.Parameters) == 0 {
		fail("parameters: not set; expected the values of parameters, by name")
	}
	checkRegions(fail, "regions", o.Regions...)
	for _, r := range o.Regions {
		if known := len(s.Regions) > 0 && !slices.Contains(append(slices.Clone(s.Regions), r), hclvalue.Unknown); known && !slices.Contains(s.Regions, r) {
			fail("regions: got %q, want any of the regions of stack_set (%s)", r, strings.Join(s.Regions, ", "))
		}
	}
	for _, a := range o.Accounts {
		switch {
		case a == hclvalue.Unknown:
		case !accountID.MatchString(a):
			fail("accounts: got %q, want a 12-digit account id", a)
		case len(s.Accounts) > 0 && !slices.Contains(s.Accounts, hclvalue.Unknown) && !slices.Contains(s.Accounts, a):
			fail("accounts: got %q, want any of the accounts of stack_set (%s)", a, strings.Join(s.Accounts, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Parameters)) {
		if name != hclvalue.Unknown && !logicalID.MatchString(name) {
			fail("parameters: got the name %q, want the name of a parameter of the template, letters and digits only", name)
		}
	}
}

func checkRegions(fail func(format string, args ...any), option string, regions ...string) {
	for i, r := range regions {
		if err := region.Check(option, r); err != nil {
			fail("%w", err)
			continue
		}
		switch {
		case r == hclvalue.Unknown:
		case slices.Contains(regions[:i], r):
			fail(option+": %q is listed twice", r)
		case slices.Contains(regions, hclvalue.Unknown):
		case region.Partition(r) != region.Partition(regions[0]):
			fail(option+": %s and %s are in different partitions: use a separate post-processor for each partition", regions[0], r)
		}
	}
}

func atLeast(fail func(format string, args ...any), option string, value *int32, least int32) {
	if value != nil && *value < least {
		fail(option+": got %d, want at least %d", *value, least)
	}
}

func between(fail func(format string, args ...any), option string, value *int32, least, most int32) {
	if value != nil && (*value < least || *value > most) {
		fail(option+": got %d, want %d to %d", *value, least, most)
	}
}

func oneOf(fail func(format string, args ...any), option, value string, allowed ...string) {
	if value != hclvalue.Unknown && !slices.Contains(allowed, value) {
		fail(option+": got %q, want %s", value, strings.Join(slices.DeleteFunc(allowed, func(s string) bool { return s == "" }), " or "))
	}
}
