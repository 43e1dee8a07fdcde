// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
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
			t.Errorf("Rate(%v) = %q, want %q", float64(test.rate), got, test.want)
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
			t.Errorf("ParseRate(%q) = %v, %v, want %v", text, float64(got), err, float64(want))
		}
	}
	for _, text := range []string{"", "25", "Mh/s", "-5 Mh/s", "25 M", "25 Mb/s", "1.2.3 h", "1e6 h", "NaN h", "25 /s"} {
		got, err := ParseRate(text)
		if err == nil {
			t.Errorf("ParseRate(%q) = %s, want an error", text, got)
		} else if !strings.Contains(err.Error(), `"`+text+`"`) {
			t.Errorf("ParseRate(%q): got error %v, want the value in quotes", text, err)
		}
	}
}

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		samples []Rate
		want    Stats
	}{
		{nil, Stats{}},
		{[]Rate{5}, Stats{Samples: 1, Median: 5, Min: 5, Max: 5, P5: 5, P95: 5}},
		{[]Rate{9, 1, 2}, Stats{Samples: 3, Median: 2, Min: 1, Max: 9, P5: 1.1, P95: 8.3, Variation: math.Sqrt(38./3) / 4}},
		{[]Rate{4, 1, 3, 2}, Stats{Samples: 4, Median: 2.5, Min: 1, Max: 4, P5: 1.15, P95: 3.85, Variation: math.Sqrt(1.25) / 2.5}},
		{[]Rate{0, 0, 8}, Stats{Samples: 3, Median: 0, Min: 0, Max: 8, P5: 0, P95: 7.2, Variation: math.Sqrt2}}, // mostly silent is zero
		{[]Rate{0, 0}, Stats{Samples: 2}},
	} {
		got := Summarize(test.samples)
		if near := func(x, y float64) bool { return math.Abs(x-y) < 1e-9 }; near(float64(got.P5), float64(test.want.P5)) &&
			near(float64(got.P95), float64(test.want.P95)) && near(got.Variation, test.want.Variation) {
			got.P5, got.P95, got.Variation = test.want.P5, test.want.P95, test.want.Variation
		}
		if got != test.want {
			t.Errorf("Summarize(%v) = %+v, want %+v", test.samples, got, test.want)
		}
	}
}
