// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-amazon/builder/ebs"
	"github.com/zclconf/go-cty/cty"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// better lists options for which amazon-ebs rejects an unknown string.
var better = map[string]bool{
	"ami_name": true, "kms_key_id": true, "region_kms_key_ids": true, "deprecate_at": true, "user_data_file": true, "temporary_security_group_source_cidrs": true,
}

// TestPrepareAcceptsUnknownStrings: Packer passes "<unknown>" for a string that is unknown
// during validation. The builder accepts it in every option where amazon-ebs does, and
// in its own options.
func TestPrepareAcceptsUnknownStrings(t *testing.T) {
	theirs := new(ebs.Builder).ConfigSpec()
	for option, spec := range new(Config).Spec() {
		attribute, ok := spec.(*hcldec.AttrSpec)
		if !ok || strings.HasPrefix(option, "packer_") || option == "capacity_timeout" { // the SDK cannot decode it as a duration
			continue
		}
		var value any = hclvalue.Unknown
		switch {
		case attribute.Type.Equals(cty.String):
		case attribute.Type.Equals(cty.List(cty.String)):
			value = []string{hclvalue.Unknown}
		case attribute.Type.Equals(cty.Map(cty.String)):
			value = map[string]string{"us-east-1": hclvalue.Unknown}
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
		_, err := new(Config).Prepare(config())
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
