// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

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
	if s.CanaryRegion != "" && s.CanaryRegion != unknown && len(s.Regions) > 0 && !slices.Contains(s.Regions, unknown) && !slices.Contains(s.Regions, s.CanaryRegion) {
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
