// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import "testing"

// CloudFormation's answer is compared as far as it is exact.
func TestAlike(t *testing.T) {
	for name, row := range map[string]struct {
		returned, sent string
		want           bool
	}{
		"equal":                            {"A: é\n", "A: é\n", true},
		"a question mark each":             {"A: ?t?\n", "A: été\n", true},
		"a question mark for each byte":    {"A: ??t??\n", "A: été\n", true},
		"outside the basic plane":          {"A: ?? x\n", "A: \U0001F600 x\n", true},
		"beside a real question mark":      {"A: ??\n", "A: é?\n", true},
		"and CR":                           {"A: ?\nB: 1\n", "A: é\r\nB: 1\r\n", true},
		"other text beside it":             {"A: ?t?\n", "A: étés\n", false},
		"ASCII is exact":                   {"A: ?\n", "A: ??\n", false},
		"an exact answer is compared":      {"A: è\n", "A: é\n", false},
		"a question mark for nothing lost": {"A: ?\n", "A: e\n", false},
	} {
		if got := Alike(row.returned, row.sent); got != row.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
