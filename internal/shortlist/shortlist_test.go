// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package shortlist

import (
	"strings"
	"testing"
)

func TestJoin(t *testing.T) {
	for list, want := range map[string]string{
		"a":                       "a",
		"a b c d e f g h i j":     "a, b, c, d, e, f, g, h, i, j",
		"a b c d e f g h i j k l": "a, b, c, d, e, f, g, h, i, j and 2 more",
	} {
		if got := Join(strings.Fields(list)); got != want {
			t.Errorf("%s: got %q, want %q", list, got, want)
		}
	}
}
