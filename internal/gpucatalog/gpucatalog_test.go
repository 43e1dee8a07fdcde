// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpucatalog

import (
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	for _, test := range []struct {
		name, of      string
		gpu           string
		count         int
		compute       string
		fabricManager bool
	}{
		{"one GPU", "g4dn.xlarge", "T4", 1, "75", false},
		{"a larger size with one", "g4dn.16xlarge", "T4", 1, "75", false},
		{"several", "g4dn.12xlarge", "T4", 4, "75", false},
		{"a family has no number", "g4dn", "T4", 0, "75", false},
		{"eight on switches", "p4d.24xlarge", "A100", 8, "80", true},
		{"one without a switch", "p5.4xlarge", "H100", 1, "90", false},
		{"a family may have them", "p5", "H100", 0, "90", true},
	} {
		e, err := Lookup(test.of)
		if err != nil || e.Name != test.gpu || e.Count != test.count || e.Compute != test.compute || e.FabricManager != test.fabricManager {
			t.Errorf("%s: %s is %+v, %v", test.name, test.of, e, err)
		}
	}
	if _, err := Lookup("m5.large"); err == nil || !strings.Contains(err.Error(), `instance type "m5.large": no GPU type that is known here; expected one of g3, g3s, g4dn`) {
		t.Errorf("m5.large: %v", err)
	}
}

// A hash reads 8192 bytes, so no published rate is above bandwidth / 8192.
func TestPublishedRatesArePossible(t *testing.T) {
	for _, name := range Families() {
		e, _ := Lookup(name)
		limit := e.BandwidthGBs * 1e9 / 8192 / 1e6
		if e.BandwidthGBs <= 0 || e.MemoryGB <= 0 || len(e.Compute) < 2 || e.PublishedMhs > limit || e.PublishedMhs > 0 && e.PublishedMhs < limit/2 {
			t.Errorf("%s: %+v, its limit is %.1f Mh/s", name, e, limit)
		}
	}
}
