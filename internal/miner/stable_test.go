// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "testing"

func TestSteady(t *testing.T) {
	constant := func(int) Rate { return 25e6 }
	for _, test := range []struct {
		name string
		rate func(second int) Rate
		want int // the sample after which it is stable, 0 for never within 100
	}{
		{"constant: after ten", constant, 10},
		{"it rises for half a minute", func(s int) Rate { return Rate(min(s, 30)) * 1e6 }, 37},
		{"it falls for twenty seconds, as a GPU gets hot", func(s int) Rate { return 30e6 - Rate(min(s, 20))*2e5 }, 25},
		{"it flickers within a percent", func(s int) Rate { return 25e6 + Rate(s%2)*2e5 }, 10},
		{"one line that is out of it does not count", func(s int) Rate {
			if s == 8 {
				return 1e6
			}
			return 25e6
		}, 10},
		{"zero is not stable", func(int) Rate { return 0 }, 0},
		{"it climbs on and on", func(s int) Rate { return Rate(s) * 1e6 }, 0},
	} {
		var s Steady
		got := 0
		for second := 1; second <= 100 && got == 0; second++ {
			s.Add(test.rate(second))
			if s.Stable() {
				got = second
			}
		}
		if got != test.want {
			t.Errorf("%s: stable after %d, expected %d", test.name, got, test.want)
		}
	}
}
