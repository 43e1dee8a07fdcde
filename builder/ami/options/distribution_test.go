// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
	"strings"
	"testing"
)

func TestDistributionErrors(t *testing.T) {
	many := map[string]string{}
	for i := range 48 {
		many[fmt.Sprintf("key-%d", i)] = ""
	}
	for want, config := range map[string]map[string]any{
		`tags: the value of "a" has 300 characters, want at most 256`:                                   {"tags": map[string]string{"a": strings.Repeat("x", 300)}},
		`snapshot_tags: the key "aws:x" begins with "aws:"`:                                             {"snapshot_tags": map[string]string{"aws:x": ""}},
		`run_tags: the key "aws:x" begins with "aws:"`:                                                  {"run_tags": map[string]string{"aws:x": ""}},
		`run_tags: the value of "a" has 257 characters`:                                                 {"run_tag": []map[string]string{{"key": "a", "value": strings.Repeat("x", 257)}}},
		`run_volume_tags: the key "AWS:y" begins with`:                                                  {"run_volume_tags": map[string]string{"AWS:y": ""}},
		`run_volume_tags: the key "` + strings.Repeat("k", 129) + `" has 129 characters, want 1 to 128`: {"run_volume_tags": map[string]string{strings.Repeat("k", 129): ""}},
		`fleet_tags: the key "aws:z" begins with`:                                                       {"spot_price": "auto", "fleet_tags": map[string]string{"aws:z": ""}},
		`spot_tags: the key "aws:z" begins with`:                                                        {"spot_price": "auto", "spot_tags": map[string]string{"aws:z": ""}},
		`on_copy_failure: got "later", want "rollback", "keep" or`:                                      {"on_copy_failure": "later"},
		`build_id: got "x", want the id`:                                                                {"build_id": "x"},
		`source_ami_from: got "ami", want an image such as`:                                             {"source_ami_from": "ami"},
		`build_id, source_ami_from: both are set, want one of them`:                                     {"build_id": "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11", "source_ami_from": "ami-0123456789abcdef0"},
		`copy_parallelism: got -1, want`:                                                                {"copy_parallelism": -1},
		`keep_releases: got -1, want`:                                                                   {"keep_releases": -1},
		`retire_after: got "soon", want days such as "30d"`:                                             {"keep_releases": 1, "retire_after": "soon"},
		`keep_named_in[0]: got "[", want a file or a pattern`:                                           {"keep_releases": 1, "keep_named_in": []string{"["}},
		`keep_named_in[0]: got "missing.yaml", want files that`:                                         {"keep_releases": 1, "keep_named_in": []string{"missing.yaml"}},
		`keep_named_in[1]: got "no*.x", want files that exist`:                                          {"keep_releases": 1, "keep_named_in": []string{"*_test.go", "no*.x"}},
		`keep_named_in[0]: got "..", want files that exist and can`:                                     {"keep_releases": 1, "keep_named_in": []string{".."}},
		`no effect without keep_releases`:                                                               {"retire_after": "30d"},
	} {
		config["region"] = "us-east-1"
		var c Config
		if _, err := c.Prepare(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	output := map[string]any{"template": "main_test.go", "output": "absent.yaml"} // written after the image
	if _, err := new(Config).Prepare(map[string]any{"region": "us-east-1", "keep_releases": 1, "keep_named_in": []string{"./absent.yaml"}, "ethminer_cfn": output}); err != nil && strings.Contains(err.Error(), "keep_named_in") {
		t.Error(err)
	}
	var c Config // too many tags cause only a warning: EC2 enforces the limit
	if warnings, err := c.Prepare(map[string]any{"region": "us-east-1", "tags": many}); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "want at most 50 per resource") {
		t.Errorf("got warnings %v, error %v, want one warning about the limit", warnings, err)
	}
}
