// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package shellquote

import "testing"

func TestWord(t *testing.T) {
	for word, want := range map[string]string{
		"key-0123":       "key-0123",
		"./state/x.y":    "./state/x.y",
		"a,b:c@d+e_f%g/": "a,b:c@d+e_f%g/",
		"NAME=a":         "NAME=a",
		"":               "''",
		"a b; rm x":      "'a b; rm x'",
		"it's":           `'it'\''s'`,
		"$(id)":          "'$(id)'",
		"~/state":        "'~/state'",
		"a\nb":           "'a\nb'",
		"x\n":            "'x\n'",
		"a\x00b":         "'ab'",
	} {
		if got := Word(word); got != want {
			t.Errorf("Word(%q) = %s, want %s", word, got, want)
		}
	}
}
