// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package didyoumean

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"us-east-1", "us-east-2", "eu-central-1", "HVM64", "HVMG2"}
	for s, want := range map[string]string{
		"us-esat-1":   "us-east-1", // two neighbours swapped
		"eu-cental-1": "eu-central-1",
		"us-east-3":   "us-east-1 or us-east-2",
		"hvm64":       "HVM64",
		"HVM46":       "HVM64",
		"Name":        "",
		"":            "",
	} {
		if got := Nearest(s, names); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
