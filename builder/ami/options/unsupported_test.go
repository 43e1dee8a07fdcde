// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"strings"
	"testing"
)

func TestUnsupportedOptionsAreRejected(t *testing.T) {
	for want, config := range map[string]map[string]any{
		"no_ephemeral: got true":            {"no_ephemeral": true},
		"fast_launch: set, but EC2 offers ": {"fast_launch": map[string]any{"max_parallel_launches": 6}},
		"fast_launch":                       {"fast_launch": map[string]any{"region_launch_templates": []map[string]any{{"region": "us-east-1", "template_name": "t"}}}},
		`communicator: got "winrm"`:         {"communicator": "winrm", "winrm_username": "x"},
		"block_duration_minutes: got 60":    {"block_duration_minutes": 60},
		"":                                  {"no_ephemeral": false, "fast_launch": map[string]any{"enable_fast_launch": false}},
	} {
		config["region"] = "us-east-1"
		var c Config
		_, err := c.Prepare(config)
		switch {
		case want == "" && err != nil:
			t.Errorf("%v: %v", config, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v: got error %v, want %q", config, err, want)
		}
	}
}

func TestDeprecatedOptionsWarn(t *testing.T) {
	for option, config := range map[string]map[string]any{
		"spot_price_auto_product": {"spot_price": "auto", "spot_price_auto_product": "Linux/UNIX (Amazon VPC)"},
		"enable_t2_unlimited":     {"instance_type": "t2.micro", "enable_t2_unlimited": true},
		"fleet_tags":              {"spot_price": "auto", "availability_zone": "us-east-1a", "fleet_tags": map[string]string{"From": "{{ .SourceAMI }}"}},
		"fleet_tag":               {"spot_price": "auto", "spot_allocation_strategy": "in-order", "fleet_tag": []map[string]any{{"key": "From", "value": "{{ .SourceAMI }}"}}},
	} {
		config["region"] = "us-east-1"
		var c Config
		warnings, err := c.Prepare(config)
		if err != nil || !strings.Contains(strings.Join(warnings, "\n"), strings.TrimSuffix(option, "s")) {
			t.Errorf("%s: got warnings %q, error %v", option, warnings, err)
		}
	}
}
