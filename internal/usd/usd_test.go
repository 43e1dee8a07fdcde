// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package usd

import "testing"

func TestPrice(t *testing.T) {
	for amount, want := range map[float64]string{0: "$0.00", 0.526: "$0.526", 0.0042: "$0.0042", 0.5: "$0.50", 1.204: "$1.204", 12: "$12.00", 12.24013: "$12.2401", 100: "$100.00"} {
		if got := Price(amount); got != want {
			t.Errorf("%v: got %q, want %q", amount, got, want)
		}
	}
}

func TestCost(t *testing.T) {
	for _, test := range []struct {
		qualifier string
		amount    float64
		want      string
	}{
		{"about", 0.14, "about $0.14"},
		{"about", 0.0042, "less than $0.01"},
		{"about", 0.005001, "about $0.01"},
		{"at most", 0, "at most $0.00"},
		{"", 12.345678, "$12.35"},
	} {
		if got := Cost(test.qualifier, test.amount); got != test.want {
			t.Errorf("%q, %v: got %q, want %q", test.qualifier, test.amount, got, test.want)
		}
	}
}
