// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// prepareHCL prepares a block as Packer does for a .pkr.hcl file: as an HCL value, with
// Packer's own attributes.
func prepareHCL(t *testing.T, body, buildName string) (Config, error) {
	t.Helper()
	var c Config
	file, diags := hclparse.NewParser().ParseHCL([]byte(body), "job.pkr.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	value, diags := hcldec.Decode(file.Body, c.Spec(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	_, err := c.Prepare(map[string]any{"packer_build_name": buildName, "packer_builder_type": "ethminer-ami"}, value)
	return c, err
}

// TestCleanResourceName: the remedy in the message about an invalid name works in HCL,
// where the SDK zeroes the block, and in JSON.
func TestCleanResourceName(t *testing.T) {
	_, err := prepareHCL(t, "region = \"eu-central-1\"\nami_name = \"base {{isotime}}\"\n", "x")
	if err == nil || !strings.Contains(err.Error(), "ami_name: got \"base ") || !strings.Contains(err.Error(), "which contains \":\"") || !strings.Contains(err.Error(), "{{isotime | clean_resource_name}}") {
		t.Errorf("got error %v, want one that recommends clean_resource_name", err)
	}
	const advised = "base {{isotime | clean_resource_name}}"
	c, err := prepareHCL(t, "region = \"eu-central-1\"\nami_name = \""+advised+"\"\nrun_tags = { Name = \"{{ .SourceAMIName | clean_resource_name }}\" }\n", "x")
	if err != nil || !strings.HasPrefix(c.AMIName, "base 2") || strings.Contains(c.AMIName, ":") {
		t.Errorf("HCL: %q, %v", c.AMIName, err)
	}
	if c.Interpolation().Funcs["clean_resource_name"] == nil {
		t.Error("clean_resource_name is not available in tags, which are rendered later")
	}
	c = Config{}
	if _, err := c.Prepare(map[string]any{"region": "eu-central-1", "ami_name": advised}); err != nil || strings.Contains(c.AMIName, ":") {
		t.Errorf("JSON: %q, %v", c.AMIName, err)
	}
}

// TestDefaultNames: default names are unique, even for sources of one build, which start
// in the same second, and for two builds of one source.
func TestDefaultNames(t *testing.T) {
	names := map[string]string{}
	for _, source := range []string{"t4", "a10", "a10", "a100", "", "two words: a/b", strings.Repeat("long", 60), "ethminer", "über"} {
		c, err := prepareHCL(t, "region = \"eu-central-1\"\n", source)
		if err != nil {
			t.Fatalf("%q: %v", source, err)
		}
		if other, taken := names[c.AMIName]; taken {
			t.Errorf("%q and %q: got the same name %q", source, other, c.AMIName)
		}
		names[c.AMIName] = source
		if !strings.HasPrefix(c.AMIName, "ethminer-") || !strings.HasPrefix(c.AMIName, c.Family()+"-") {
			t.Errorf("%q: got name %q and family %q", source, c.AMIName, c.Family())
		}
		if want := "ethminer-" + source; (source == "a10" || source == "a100" || source == "t4") && c.Family() != want {
			t.Errorf("%q: got family %q, want %q", source, c.Family(), want)
		}
	}
}

func TestIDSyntax(t *testing.T) {
	for _, test := range []struct {
		attribute string
		value     any
		want      string // part of the error; "" if the value is valid
	}{
		{"ami_users", []string{"012345678901"}, ""},
		{"ami_users", []string{"012345678901", "12345678901"}, `ami_users[1]: got "12345678901", want an account id of 12 digits; quote it, as a number loses its leading zeros (012345678901)`},
		{"ami_users", []string{""}, `ami_users[0]: got "", want an account id of 12 digits; omit the entry`},
		{"ami_users", []string{"arn:aws:iam::012345678901:root"}, "ami_users[0]: got"},
		{"ami_users", []string{"1234-5678-9012"}, "ami_users[0]: got"},
		{"ami_users", []string{hclvalue.Unknown}, ""},
		{"snapshot_users", []string{"1.2345678901e+10"}, "snapshot_users[0]: got"},
		{"snapshot_users", []string{"0123456789012"}, "snapshot_users[0]: got"},
		{"ami_groups", []string{"all"}, ""},
		{"ami_groups", []string{"everyone"}, `ami_groups[0]: got "everyone", want "all"`},
		{"snapshot_groups", []string{"All"}, "snapshot_groups[0]: got"},
		{"ami_org_arns", []string{"arn:aws:organizations::111122223333:organization/o-abcdefghij", "arn:aws-us-gov:organizations::111122223333:organization/o-abcdefghij"}, ""},
		{"ami_org_arns", []string{"o-abcdefghij"}, "ami_org_arns[0]: got \"o-abcdefghij\", want an ARN such as"},
		{"ami_org_arns", []string{"arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"}, "ami_org_arns[0]: got"},
		{"ami_ou_arns", []string{"arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"}, ""},
		{"ami_ou_arns", []string{"ou-abcd-12345678"}, "ami_ou_arns[0]: got"},
		{"ami_ou_arns", []string{"arn:aws:organizations::11112222333:ou/o-abcdefghij/ou-abcd-12345678"}, "ami_ou_arns[0]: got"},
		{"kms_key_id", "1234abcd-12ab-34cd-56ef-1234567890ab", ""},
		{"kms_key_id", "mrk-1234abcd12ab34cd56ef1234567890ab", ""},
		{"kms_key_id", "alias/mine", ""},
		{"kms_key_id", "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", ""},
		{"kms_key_id", "arn:aws:kms:us-east-1:111122223333:alias/mine", ""},
		{"kms_key_id", "arn:aws:kms:eu-west-1:111122223333:alias/mine", "want a key in us-east-1"},
		{"kms_key_id", "mine", `kms_key_id: got "mine", want the id or ARN of a KMS key`},
		{"kms_key_id", "arn:aws:kms:us-east-1:11112222333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "kms_key_id: got"},
		{"iam_instance_profile", "baker", ""},
		{"iam_instance_profile", "arn:aws:iam::111122223333:instance-profile/team/baker", `want the name of the profile, "baker"`},
		{"iam_instance_profile", "the baker", "iam_instance_profile: got"},
		{"assume_role", map[string]any{"role_arn": "arn:aws:iam::123456789012:role/team/baker"}, ""},
		{"assume_role", map[string]any{"role_arn": "arn:aws:iam::12345678901:role/baker"}, "assume_role.role_arn: got"},
		{"assume_role", map[string]any{"role_arn": "baker"}, "assume_role.role_arn: got"},
		{"assume_role", map[string]any{"role_arn": "arn:aws:iam::123456789012:user/baker"}, "assume_role.role_arn: got"},
		{"assume_role", map[string]any{"role_arn": "arn:aws:iam::123456789012:role/baker", "policy_arns": []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}}, ""},
		{"subnet_id", "vpc-0123456789abcdef0", "subnet_id: got"},
		{"subnet_ids", []string{"subnet-0123456789abcdef0", "private"}, "subnet_ids[1]: got"},
		{"security_group_ids", []string{"default"}, "security_group_ids[0]: got"},
		{"source_ami", "ubuntu", "source_ami: got"},
		{"snapshot_copy_duration_minutes", 15, ""},
		{"snapshot_copy_duration_minutes", 2880, ""},
		{"snapshot_copy_duration_minutes", 20, "snapshot_copy_duration_minutes: got 20, want a multiple of 15 from 15 to 2880"},
		{"snapshot_copy_duration_minutes", 0, "snapshot_copy_duration_minutes: got 0"},
		{"snapshot_copy_duration_minutes", 2895, "snapshot_copy_duration_minutes: got 2895"},
		{"tags", map[string]string{strings.Repeat("k", 128): strings.Repeat("v", 256)}, ""},
		{"tags", map[string]string{strings.Repeat("k", 129): ""}, "want 1 to 128"},
	} {
		raw := map[string]any{"region": "us-east-1", "ssh_username": "ubuntu", test.attribute: test.value}
		if test.attribute == "kms_key_id" {
			raw["encrypt_boot"] = true
		}
		var c Config
		_, err := c.Prepare(raw)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s = %v: %v", test.attribute, test.value, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s = %v: got %v, want %s", test.attribute, test.value, err, test.want)
		}
	}
}

// TestKeysByRegion: keys of all partitions are accepted, each in its own region.
func TestKeysByRegion(t *testing.T) {
	raw := map[string]any{
		"region": "us-east-1", "ami_regions": []string{"us-west-2", "eusc-de-east-1"}, "encrypt_boot": true, "ami_users": []string{"111122223333"},
		"region_kms_key_ids": map[string]string{
			"us-east-1": "alias/home", "us-west-2": "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
			"eusc-de-east-1": "arn:aws-eusc:kms:eusc-de-east-1:111122223333:alias/theirs",
		},
	}
	var c Config
	if _, err := c.Prepare(raw); err != nil {
		t.Error(err)
	}
	raw["region_kms_key_ids"] = map[string]string{"us-west-2": "arn:aws:kms:us-east-1:111122223333:alias/x", "ap-south-1": ""}
	_, err := c.Prepare(raw)
	for _, want := range []string{
		`region_kms_key_ids["us-west-2"]: got "arn:aws:kms:us-east-1:111122223333:alias/x", want a key in us-west-2`,
		`region_kms_key_ids["ap-south-1"]: ami_regions does not contain ap-south-1`, `region_kms_key_ids: no key for eusc-de-east-1`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error without %s:\n%v", want, err)
		}
	}
}

// TestDefaultOwner: Canonical has a different account in each partition.
func TestDefaultOwner(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "099720109477", "eu-west-3": "099720109477", "us-gov-west-1": "513442679011", "us-gov-east-1": "513442679011",
		"cn-north-1": "837727238323", "cn-northwest-1": "837727238323",
	} {
		var c Config
		if _, err := c.Prepare(map[string]any{"region": region}); err != nil || c.SourceAmiFilter.Owners[0] != want {
			t.Errorf("%s: got owners %v, %v, want %s", region, c.SourceAmiFilter.Owners, err, want)
		}
	}
}

// An owner of another partition has no images in the region.
func TestOwnerOfAnotherPartition(t *testing.T) {
	for _, test := range []struct {
		region string
		owners []string
		want   string
	}{
		{"us-gov-west-1", []string{"099720109477"}, `source_ami_filter.owners: got "099720109477", which is Canonical's account in the partition aws, want "513442679011" for us-gov-west-1`},
		{"cn-north-1", []string{"099720109477"}, `want "837727238323" for cn-north-1`},
		{"us-east-1", []string{"837727238323"}, `the partition aws-cn, want "099720109477" for us-east-1`},
		{"us-east-1", []string{"099720109477"}, ""},
		{"us-gov-west-1", []string{"099720109477", "513442679011"}, ""},
		{"us-gov-west-1", []string{"amazon"}, ""},
		{"eusc-de-east-1", []string{"099720109477"}, ""}, // unknown there
	} {
		var c Config
		warnings, err := c.Prepare(map[string]any{
			"region": test.region, "ssh_username": "ubuntu", "source_ami_filter": map[string]any{"filters": map[string]string{"name": "*"}, "owners": test.owners, "most_recent": true},
		})
		if err != nil || len(warnings) > 0 != (test.want != "") || !strings.Contains(strings.Join(warnings, "\n"), test.want) {
			t.Errorf("%s, %v: %q, %v", test.region, test.owners, warnings, err)
		}
	}
}

// TestPollingWarning: a polling delay that slows down the build causes a warning. The
// SDK's AWS_MAX_ATTEMPTS does not affect polling.
func TestPollingWarning(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "10")
	for seconds, want := range map[int]int{0: 0, 1: 0, 30: 1} {
		var c Config
		warnings, err := c.Prepare(map[string]any{"region": "us-east-1", "aws_polling": map[string]any{"delay_seconds": seconds}})
		if err != nil || len(warnings) != want || want > 0 && !strings.Contains(warnings[0], "aws_polling.delay_seconds: got 30") {
			t.Errorf("delay_seconds = %d: got warnings %v, error %v, want %d warnings", seconds, warnings, err, want)
		}
		if got := c.Waiter().Timeout; got != pollTimeout {
			t.Errorf("got timeout %s, want %s despite AWS_MAX_ATTEMPTS", got, pollTimeout)
		}
	}
}

// The risk of an image without a reboot is reported.
func TestCaptureWarning(t *testing.T) {
	for capture, want := range map[string]int{"": 0, "stop": 0, "reboot": 0, "no-reboot": 1} {
		var c Config
		warnings, err := c.Prepare(map[string]any{"region": "us-east-1", "capture": capture})
		if err != nil || len(warnings) != want || want > 0 && !strings.Contains(warnings[0], `capture: got "no-reboot", so EC2 does not guarantee consistent file systems`) {
			t.Errorf("%s: %v, %v", capture, warnings, err)
		}
	}
}
