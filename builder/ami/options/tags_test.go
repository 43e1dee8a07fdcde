// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"slices"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

func TestFamily(t *testing.T) {
	for name, want := range map[string]string{
		"ethminer-1732412345":        "ethminer",
		"ethminer-2026-11-24":        "ethminer",
		"ethminer-2026-11-24T02.58Z": "ethminer",
		"miner v1.2.3":               "miner",
		"eth2 miner":                 "eth2 miner",
		"1732412345":                 "1732412345",
		"mining/gpu.20261124":        "mining/gpu",
	} {
		c := Config{}
		c.AMIName = name
		if got := c.Family(); got != want {
			t.Errorf("%q: got family %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(tags.Inherited, tags.Family) {
		t.Error("got a copy without a family")
	}
}
