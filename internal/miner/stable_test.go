// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "testing"

func TestSteady(t *testing.T) {
	constant := func(int) Rate { return 25e6 }
	for _, test := range []struct {
		name string
		rate func(n int) Rate
		want int // the collection after which it is stable, 0 for never within 100
	}{
		{"constant: after six", constant, 6},
		{"rises for half a minute", func(s int) Rate { return Rate(min(s, 30)) * 1e6 }, 34},
		{"falls for twenty seconds as the GPU gets hot", func(s int) Rate { return 30e6 - Rate(min(s, 20))*2e5 }, 22},
		{"varies within one percent", func(s int) Rate { return 25e6 + Rate(s%2)*2e5 }, 6},
		{"a single outlier does not count", func(s int) Rate {
			if s == 5 {
				return 1e6
			}
			return 25e6
		}, 6},
		{"zero is not stable", func(int) Rate { return 0 }, 0},
		{"rises continuously", func(s int) Rate { return Rate(s) * 1e6 }, 0},
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
			t.Errorf("%s: got stable after %d, want %d", test.name, got, test.want)
		}
	}
}
