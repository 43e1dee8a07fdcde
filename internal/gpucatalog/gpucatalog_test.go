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
		{"a larger size with one GPU", "g4dn.16xlarge", "T4", 1, "75", false},
		{"several", "g4dn.12xlarge", "T4", 4, "75", false},
		{"a family has no number", "g4dn", "T4", 0, "75", false},
		{"eight GPUs with NVSwitch", "p4d.24xlarge", "A100", 8, "80", true},
		{"one GPU without NVSwitch", "p5.4xlarge", "H100", 1, "90", false},
		{"a family whose sizes can have NVSwitch", "p5", "H100", 0, "90", true},
	} {
		e, err := Lookup(test.of)
		if err != nil || e.Name != test.gpu || e.Count != test.count || e.Compute != test.compute || e.FabricManager != test.fabricManager {
			t.Errorf("%s: %s: got %+v, %v", test.name, test.of, e, err)
		}
	}
	if _, err := Lookup("m5.large"); err == nil || !strings.Contains(err.Error(), `instance type "m5.large": not a known GPU instance type; expected one of g3, g3s, g4dn`) {
		t.Errorf("m5.large: %v", err)
	}
}

// TestPublishedRatesArePlausible: a hash reads 8192 bytes, so no rate can exceed
// bandwidth / 8192.
func TestPublishedRatesArePlausible(t *testing.T) {
	for _, name := range Families() {
		e, _ := Lookup(name)
		limit := e.BandwidthGBs * 1e9 / 8192 / 1e6
		if e.BandwidthGBs <= 0 || e.MemoryGB <= 0 || len(e.Compute) < 2 || e.PublishedMhs > limit || e.PublishedMhs > 0 && e.PublishedMhs < limit/2 {
			t.Errorf("%s: got %+v above its limit of %.1f Mh/s", name, e, limit)
		}
	}
}

// TestByName uses the names that nvidia-smi prints.
func TestByName(t *testing.T) {
	for name, bandwidth := range map[string]float64{
		"Tesla T4": 320, "NVIDIA T4G": 320, "Tesla V100-SXM2-16GB": 900, "Tesla V100-SXM2-32GB": 900,
		"NVIDIA A10G": 600, "NVIDIA L4": 300, "NVIDIA L40S": 864,
		"NVIDIA A100-SXM4-40GB": 1555, "NVIDIA A100-SXM4-80GB": 2039,
		"NVIDIA H100 80GB HBM3": 3350, "NVIDIA H200": 4800, "NVIDIA B200": 8000, "NVIDIA B300 SXM6 AC": 8000,
		"NVIDIA RTX PRO 6000 Blackwell Server Edition": 1597, "NVIDIA RTX PRO 4500 Blackwell Server Edition": 800,
		// Variants with other memory are not matched.
		"NVIDIA H100 PCIe": 0, "NVIDIA A100 80GB PCIe": 0, "NVIDIA L40": 0, "NVIDIA RTX PRO 4500 Blackwell": 0, "NVIDIA A10": 0, "": 0,
	} {
		gpu, ok := ByName(name)
		if gpu.BandwidthGBs != bandwidth || ok != (bandwidth > 0) {
			t.Errorf("%q: got %+v, %v, want %v GB/s", name, gpu, ok, bandwidth)
		}
	}
	for _, g := range known {
		if g.CacheMB <= 0 {
			t.Errorf("%s has no cache", g.Name)
		}
	}
}
