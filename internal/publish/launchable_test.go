// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// A region whose stacks could not launch prevents the publication, however the
// region is published.
func TestPublishedRegionsHaveImages(t *testing.T) {
	image := "      AMI: " + imageIn("sa-east-1", 1) + "\n"
	for name, test := range map[string]struct {
		row    string // of sa-east-1
		change func(*publish.Spec)
		want   string
	}{
		"missing row":           {"", nil, "AWSRegion2AMI.sa-east-1.AMI is missing; stacks in sa-east-1 (s3, ssm) cannot launch"},
		"missing column":        {"    sa-east-1:\n      Other: ami-0123456789abcdef0\n", nil, "AWSRegion2AMI.sa-east-1.AMI is missing"},
		"zeros":                 {"    sa-east-1:\n      AMI: ami-00000000\n", nil, `sa-east-1.AMI is "ami-00000000", a placeholder`},
		"long zeros":            {"    sa-east-1:\n      AMI: ami-00000000000000000\n", nil, `is "ami-00000000000000000", a placeholder`},
		"a word":                {"    sa-east-1:\n      AMI: ami-TODO\n", nil, "a placeholder"},
		"empty":                 {"    sa-east-1:\n      AMI: ''\n", nil, "a placeholder"},
		"no id at all":          {"    sa-east-1:\n      AMI: later\n", nil, `is "later", a placeholder`},
		"one of two attributes": {"    sa-east-1:\n" + image, func(s *publish.Spec) { s.Attributes = append(s.Attributes, "ARM") }, "AWSRegion2AMI.sa-east-1.ARM is missing; stacks in sa-east-1, us-east-1, eu-central-1, ap-south-1 (s3, ssm) cannot launch with ARM; run the build that fills ARM first, or remove ARM from attributes"},
		"two rows":              {"    sa-east-1:\n      AMI: ami-TODO\n", func(s *publish.Spec) { s.S3.Regions = append(s.S3.Regions, "eu-west-1") }, "stacks in sa-east-1, eu-west-1 (s3, ssm) cannot launch with AMI; build AMI for sa-east-1, eu-west-1 too"},
		"ssm only":              {"", func(s *publish.Spec) { s.S3.Regions, s.SSM.Regions = three, []string{"sa-east-1"} }, "stacks in sa-east-1 (ssm) cannot launch"},
		"stack set only": {"", func(s *publish.Spec) {
			*s = setSpec(three...)
			s.StackSet.Regions = []string{"eu-central-1", "sa-east-1"}
		}, "stacks in sa-east-1 (stack_set) cannot launch"},
		"deregistered":                    {"    sa-east-1:\n      AMI: ami-0123456789abcdef9\n", nil, "ami-0123456789abcdef9, which does not exist there"},
		"deregistered, with trust_images": {"    sa-east-1:\n      AMI: ami-0123456789abcdef9\n", func(s *publish.Spec) { s.TrustImages, s.SSM.Regions = true, three }, ""},
		"not published there":             {"    sa-east-1:\n      AMI: ami-TODO\n", func(s *publish.Spec) { s.S3.Regions = three }, ""},
		"an image":                        {"    sa-east-1:\n" + image, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := append([]string{"sa-east-1"}, three...)
			w := newWorld(t, all...)
			s := spec(all...)
			if test.change != nil {
				test.change(&s)
			}
			body := strings.Replace(string(template(1, three...)), "AWSRegion2AMI:\n", "AWSRegion2AMI:\n"+test.row, 1)
			err := w.publish(s, []byte(body))
			if test.want == "" {
				w.must(err)
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if w.hasSaid("retrying") {
				t.Error("what does not change was tried again")
			}
			if stored := w.stored(); stored != "" {
				t.Errorf("published: %s", stored)
			}
		})
	}
}

// Accounts and organizational units that may not launch the images prevent the
// publication.
func TestStackSetTargetsMayLaunch(t *testing.T) {
	const org, ou = "arn:aws:organizations::999999999999:organization/o-abcdefghij", "arn:aws:organizations::999999999999:ou/o-abcdefghij/ou-ab12-cdefgh34"
	type permissions = []ec2types.LaunchPermission
	one, other := ec2types.LaunchPermission{UserId: &accounts[0]}, ec2types.LaunchPermission{UserId: &accounts[1]}
	byOrg, byUnit := ec2types.LaunchPermission{OrganizationArn: aws.String(org)}, ec2types.LaunchPermission{OrganizationalUnitArn: aws.String(ou)}
	all := ec2types.LaunchPermission{Group: ec2types.PermissionGroupAll}
	units := func(ids ...string) func(*stackset.Config) {
		return func(s *stackset.Config) {
			s.Accounts, s.OrganizationalUnits, s.PermissionModel = nil, ids, "SERVICE_MANAGED"
		}
	}
	for name, test := range map[string]struct {
		permissions permissions
		change      func(*stackset.Config)
		want        string // an error
		said        string
	}{
		"nobody":                        {want: "us-east-1: account 111111111111, account 222222222222 may not launch"},
		"one of two":                    {permissions: permissions{one}, want: "us-east-1: account 222222222222 may not launch"},
		"both":                          {permissions: permissions{one, other}},
		"everybody":                     {permissions: permissions{all}},
		"the owner":                     {change: func(s *stackset.Config) { s.Accounts = []string{rehearsal.AccountID} }},
		"the owner and another":         {change: func(s *stackset.Config) { s.Accounts = []string{rehearsal.AccountID, "111111111111"} }, want: "account 111111111111 may not launch"},
		"accounts by organization":      {permissions: permissions{byOrg}, said: "not checked whether 111111111111 may launch"},
		"accounts by unit":              {permissions: permissions{byUnit}, said: "not checked whether 222222222222 may launch"},
		"a unit, and nobody may":        {change: units("ou-ab12-cdefgh34"), want: "organizational unit ou-ab12-cdefgh34 may not launch"},
		"a unit of the organization":    {permissions: permissions{byOrg}, change: units("ou-ab12-cdefgh34")},
		"the unit itself":               {permissions: permissions{byUnit}, change: units("ou-ab12-cdefgh34")},
		"another unit, maybe a parent":  {permissions: permissions{byUnit}, change: units("ou-ab12-zzzzzzzz"), said: "not checked whether ou-ab12-zzzzzzzz may launch"},
		"the root, by organization":     {permissions: permissions{byOrg}, change: units("r-ab12")},
		"the root, and nobody may":      {change: units("r-ab12"), want: "organizational unit r-ab12 may not launch"},
		"a unit, some accounts may":     {permissions: permissions{one, other}, change: units("ou-ab12-cdefgh34"), said: "not checked whether ou-ab12-cdefgh34 may launch"},
		"two units, one of which may":   {permissions: permissions{one, other, all}, change: units("ou-ab12-cdefgh34", "ou-ab12-zzzzzzzz")},
		"a unit beside one that shares": {permissions: permissions{byUnit}, change: units("ou-ab12-cdefgh34", "r-ab12"), said: "not checked whether r-ab12 may launch"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
			w.wire.to = &edits{to: w.wire.to, response: func(_ call, body string) string { // so that the permissions decide
				return strings.ReplaceAll(body, "<isPublic>true", "<isPublic>false")
			}}
			s := setSpec(three...)
			if test.change != nil {
				test.change(s.StackSet)
			}
			err := w.publish(s, w.private(template(1, three...), test.permissions...))
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
				if stored := w.stored(); stored != "" {
					t.Errorf("published: %s", stored)
				}
				return
			}
			w.must(err)
			if !w.hasSaid(test.said) || test.said == "" && w.hasSaid("not checked") {
				t.Errorf("said %q, want %q", w.said, test.said)
			}
		})
	}
}

// A unit is checked by its accounts that already have stacks.
func TestUnitMembersMayLaunch(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	s.StackSet.Accounts, s.StackSet.OrganizationalUnits, s.StackSet.PermissionModel = nil, []string{"ou-ab12-cdefgh34"}, "SERVICE_MANAGED"
	w.must(w.publish(s, template(1, three...)))
	err := w.publish(s, w.private(template(2, three...), ec2types.LaunchPermission{UserId: &accounts[0]}))
	if err == nil || !strings.Contains(err.Error(), "organizational unit ou-ab12-cdefgh34 may not launch") {
		t.Errorf("error %v", err)
	}
}

// A deprecated image can be launched, also if it belongs to another account.
func TestDeprecatedImages(t *testing.T) {
	clock := pace.NewManual(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)) // after the dates of all public images
	w := newWorldWith(t, rehearsal.Config{Clock: clock}, three...)
	w.must(w.publish(spec(three...), template(1, three...)))
}

// Information that EC2 denies is reported, and publishing continues.
func TestImagesThatMayNotBeLookedUp(t *testing.T) {
	w := newWorld(t, three...)
	w.wire.failWith(func(c call) *failure {
		if c.service != "ec2" {
			return nil
		}
		return &failure{403, "UnauthorizedOperation", "You are not authorized to perform this operation."}
	})
	w.must(w.publish(spec(three...), template(1, three...)))
	if !w.hasSaid("allow ec2:DescribeImages") {
		t.Errorf("said %q", w.said)
	}
}

// Stacks with parameter overrides are reported by a publication and by the status,
// which is then not all of one version.
func TestOverridesAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		noEcho bool
		value  string // of the override
		want   bool   // it is named
	}{
		"another value":        {value: "g5.xlarge", want: true},
		"the set's value":      {value: "g6.xlarge"},
		"a value not shown":    {value: "g6.xlarge", noEcho: true, want: true},
		"an override no more":  {},
		"an empty text counts": {value: " ", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
			s := setSpec(three...)
			s.StackSet.Parameters = map[string]string{"Size": "g4dn.xlarge"}
			body := func(n int) []byte {
				text := "Parameters:\n  Size: {Type: String}\n"
				if test.noEcho {
					text = "Parameters:\n  Size: {Type: String, NoEcho: true}\n"
				}
				return append([]byte(text), template(n, three...)...)
			}
			w.must(w.publish(s, body(1)))
			override := func(value string) {
				list := []types.Parameter{}
				if value != "" {
					list = append(list, types.Parameter{ParameterKey: aws.String("Size"), ParameterValue: aws.String(strings.TrimSpace(value))})
				}
				_, err := w.cloudformation().UpdateStackInstances(w.Context(), &cloudformation.UpdateStackInstancesInput{
					StackSetName: mining, Accounts: accounts[:1], Regions: three[:1], ParameterOverrides: list,
				})
				w.must(err)
				w.idle()
			}
			override("g5.xlarge")
			override(test.value)
			s.StackSet.Parameters["Size"] = "g6.xlarge"
			w.must(w.publish(s, body(2)))
			want := three[0] + ", account " + accounts[0] + ": keeps its override of Size"
			if w.hasSaid(want) != test.want || w.hasSaid("except for 1 stack instance(s) that keep parameter overrides") != test.want {
				t.Errorf("said %q", w.said)
			}
			if w.hasSaid("g5.xlarge") {
				t.Error("a parameter's value was printed")
			}
			plan := w.plan(s, body(2))
			state, err := w.publisher().State(t.Context(), plan.Source())
			w.must(err)
			findings, err := w.publisher().Check(t.Context(), state)
			w.must(err)
			named := false
			for _, f := range findings {
				if f.Kind == "override" && !f.OK() && f.Region == three[0] && strings.Contains(f.Name, accounts[0]) {
					named = true
				} else if !f.OK() {
					t.Errorf("%+v", f)
				}
			}
			if named != test.want {
				t.Errorf("the status has %+v", findings)
			}
		})
	}
}

// An operation that succeeds within its failure tolerance can skip stacks; these
// are reported.
func TestFailureToleranceIsNamed(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	s.StackSet.Preferences.FailureToleranceCount = aws.Int32(1)
	w.fail("us-east-1", accounts[0], 0)
	w.must(w.publish(s, template(1, three...)))
	if !w.hasSaid("us-east-1, account "+accounts[0]+": OUTDATED") || !w.hasSaid("except for 1 stack instance(s) that are not current") {
		t.Errorf("said %q", w.said)
	}
}
