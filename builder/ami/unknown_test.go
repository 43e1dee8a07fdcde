// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-amazon/builder/ebs"
	"github.com/zclconf/go-cty/cty"
)

// better are options of which amazon-ebs refuses a text that is not known yet.
var better = map[string]bool{
	"ami_name": true, "kms_key_id": true, "region_kms_key_ids": true, "deprecate_at": true, "user_data_file": true, "temporary_security_group_source_cidrs": true,
}

// Packer passes "<unknown>" for a text that it knows at build time only, a data
// source's. What amazon-ebs takes then, we do, and our own options too.
func TestPrepareAcceptsUnknownTexts(t *testing.T) {
	theirs := new(ebs.Builder).ConfigSpec()
	for option, spec := range new(Builder).ConfigSpec() {
		attribute, ok := spec.(*hcldec.AttrSpec)
		if !ok || packersOwn.MatchString(option) || option == "capacity_timeout" { // the SDK decodes no duration from it
			continue
		}
		var value any = unknownValue
		switch {
		case attribute.Type.Equals(cty.String):
		case attribute.Type.Equals(cty.List(cty.String)):
			value = []string{unknownValue}
		case attribute.Type.Equals(cty.Map(cty.String)):
			value = map[string]string{"us-east-1": unknownValue}
		default:
			continue
		}
		config := func() map[string]any {
			c := map[string]any{"region": "us-east-1", "ami_name": "name", "source_ami": "ami-1", "instance_type": "g4dn.xlarge", "ssh_username": "u"}
			switch option {
			case "instance_types":
				delete(c, "instance_type")
			case "kms_key_id", "region_kms_key_ids":
				c["encrypt_boot"], c["ami_regions"] = true, []string{"us-east-1"}
			case "keep_named_in", "retire_after":
				c["keep_releases"] = 1
			}
			c[option] = value
			return c
		}
		_, _, err := new(Builder).Prepare(config())
		if err == nil {
			continue
		}
		if theirs[option] != nil && !better[option] {
			if _, _, there := new(ebs.Builder).Prepare(config()); there != nil {
				continue
			}
		}
		t.Errorf("%s = %v: %v", option, value, err)
	}
}
