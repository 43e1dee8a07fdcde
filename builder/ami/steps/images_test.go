// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"maps"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

func TestKnownTags(t *testing.T) {
	const benchmark = `{"schema_version": 1, "source": "https://example.com/ethminer.git at ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9",
		"device": "cuda", "gpus": ["Tesla T4", "Tesla T4"], "cuda": "12.4", "driver": "550.54.15", "hashrate_hs": 25500000}`
	for _, test := range []struct {
		name, text string
		want       map[string]string
	}{
		{"all fields", benchmark, map[string]string{
			tags.Commit: "ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9", tags.GPU: "Tesla T4", tags.CUDA: "12.4", tags.Driver: "550.54.15", tags.Hashrate: "25.50 Mh/s",
		}},
		{"none", "", nil},
		{"a folder has no commit", `{"source": "./my-ethminer"}`, map[string]string{}},
		{"a field of another type", `{"cuda": {"version": 1}}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := benchmarkTags([]byte(test.text))
			maps.DeleteFunc(got, func(_, value string) bool { return value == "" })
			if !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
