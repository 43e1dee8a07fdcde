// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseSensors(t *testing.T) {
	for line, want := range map[string]Sensors{
		"0, 62, 69.73, 1245, 5000, 0x0000000000000004": {0, 62, 69.73, 1245, 5000, 4},
		"3,45,350.1,1980,2619,0x0000000000000000":      {3, 45, 350.1, 1980, 2619, 0},
		"1, 90, [N/A], [Not Supported], 5000, [N/A]":   {1, 90, 0, 0, 5000, 0},
	} {
		got, err := ParseSensors(line)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"":                            "expected 6 fields",
		"NVIDIA-SMI has failed":       "expected 6 fields",
		"x, 62, 69.73, 1245, 5000, 0": "a GPU's index in front",
	} {
		if _, err := ParseSensors(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", line, err, want)
		}
	}
}

func TestSlowdown(t *testing.T) {
	for s, want := range map[Slowdown][]string{
		0x1:        nil, // idle
		0x2 | 0x10: nil, // set by a user, or by another GPU
		0x4:        {"power cap"},
		0x20 | 0x4: {"power cap", "thermal slowdown"},
		0x48:       {"hardware slowdown", "hardware thermal slowdown"},
		0x88:       {"hardware slowdown", "hardware power brake"},
	} {
		if got := s.Reasons(); !reflect.DeepEqual(got, want) {
			t.Errorf("%#x: got %q, want %q", uint64(s), got, want)
		}
		if s.Thermal() != strings.Contains(strings.Join(want, " "), "thermal") {
			t.Errorf("%#x: got thermal %v", uint64(s), s.Thermal())
		}
	}
}

func TestXid(t *testing.T) {
	for line, want := range map[string]struct {
		number int
		part   string
		ok     bool
	}{
		"[  941.2] NVRM: Xid (PCI:0000:00:1e): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.": {79, "off the bus", true},
		"NVRM: Xid (PCI:0000:00:1e): 13, Graphics Exception: ESR 0x404600=0x80000000":                            {13, "another GPU", true},
		"NVRM: Xid (PCI:0000:00:1e): 999":                {999, "", true},
		"NVRM: loading NVIDIA UNIX x86_64 Kernel Module": {0, "", false},
		"NVRM: Xid (PCI:0000":                            {0, "", false},
	} {
		number, meaning, ok := Xid(line)
		if number != want.number || ok != want.ok || !strings.Contains(meaning, want.part) || (meaning == "") != (want.part == "") {
			t.Errorf("%q: got %d, %q, %v", line, number, meaning, ok)
		}
	}
}
