// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import "testing"

func TestRedactURL(t *testing.T) {
	for source, want := range map[string]string{
		"https://user:secret@example.com/m.git": "https://user:xxxxx@example.com/m.git",
		"https://example.com/m.git":             "https://example.com/m.git",
		"git@example.com:m.git":                 "git@example.com:m.git",
		"./folder":                              "./folder",
	} {
		if got := redactURL(source); got != want {
			t.Errorf("redactURL(%q) = %q, want %q", source, got, want)
		}
	}
}
