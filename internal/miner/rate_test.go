// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"strings"
	"testing"
)

func TestRateString(t *testing.T) {
	for _, test := range []struct {
		rate Rate
		want string
	}{
		{0, "0.00 h/s"},
		{412.3, "412.3 h/s"},
		{99.994, "99.99 h/s"},
		{99.996, "100.0 h/s"},
		{999.94, "999.9 h/s"},
		{999.96, "1.00 Kh/s"}, // never 1000.0 h/s
		{25_250_000, "25.25 Mh/s"},
		{319_850_000, "319.9 Mh/s"},
		{1.5e9, "1.50 Gh/s"},
		{2e15, "2000.0 Th/s"},
	} {
		if got := test.rate.String(); got != test.want {
			t.Errorf("Rate(%v) = %q, expected %q", float64(test.rate), got, test.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"25 Mh/s":   25e6,
		"25MH/s":    25e6,
		"500 h":     500,
		" 1.5 Gh ":  1.5e9,
		"0.25 kh/s": 250,
		"1 TH/S":    1e12,
		"0 h":       0,
	} {
		got, err := ParseRate(text)
		if err != nil || got != want {
			t.Errorf("ParseRate(%q) = %v, %v, expected %v", text, float64(got), err, float64(want))
		}
	}
	for _, text := range []string{"", "25", "Mh/s", "-5 Mh/s", "25 M", "25 Mb/s", "1.2.3 h", "1e6 h", "NaN h", "25 /s"} {
		got, err := ParseRate(text)
		if err == nil {
			t.Errorf("ParseRate(%q) = %s, expected an error", text, got)
		} else if !strings.Contains(err.Error(), `"`+text+`"`) {
			t.Errorf("ParseRate(%q): the error does not quote it: %v", text, err)
		}
	}
}

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		samples []Rate
		want    Stats
	}{
		{nil, Stats{}},
		{[]Rate{5}, Stats{1, 5, 5, 5}},
		{[]Rate{9, 1, 2}, Stats{3, 2, 1, 9}},
		{[]Rate{4, 1, 3, 2}, Stats{4, 2.5, 1, 4}},
		{[]Rate{0, 0, 8}, Stats{3, 0, 0, 8}}, // mostly silent is zero
	} {
		if got := Summarize(test.samples); got != test.want {
			t.Errorf("Summarize(%v) = %+v, expected %+v", test.samples, got, test.want)
		}
	}
}
