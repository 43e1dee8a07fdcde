// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"slices"
	"testing"
)

// lines returns n equal status lines of one or two devices.
func lines(n int, rates ...Rate) []Status {
	var all []Status
	for range n {
		s := Status{}
		for i, r := range rates {
			s.Rate += r
			s.Devices = append(s.Devices, Device{Name: "cu" + string(rune('0'+i)), Rate: r})
		}
		all = append(all, s)
	}
	return all
}

func TestCollector(t *testing.T) {
	for _, test := range []struct {
		name      string
		lines     [][]Status
		want      []Rate // total rate of each collection
		late      int
		undecided bool
	}{
		{"five lines per collection", [][]Status{lines(5, 25), lines(5, 26), lines(5, 25.5)}, []Rate{25, 26, 25.5}, 0, false},
		{"six lines if the timers drift", [][]Status{lines(6, 25), lines(5, 26)}, []Rate{25, 26}, 0, false},
		{"a miner that collects each second", [][]Status{lines(1, 25), lines(1, 26), lines(1, 25)}, []Rate{25, 26, 25}, 0, false},
		{"equal rates are several collections", [][]Status{lines(12, 25)}, []Rate{25, 25}, 0, false},
		{"a late collection", [][]Status{lines(5, 25), lines(5, 0), lines(5, 26)}, []Rate{25, 26}, 1, false},
		{"two late collections in a row are a stop", [][]Status{lines(5, 25), lines(10, 0)}, []Rate{25, 0, 0}, 0, false},
		{"a stop that continues", [][]Status{lines(5, 25), lines(17, 0)}, []Rate{25, 0, 0, 0}, 0, false},
		{"a miner that recovers is measured again", [][]Status{lines(5, 25), lines(12, 0), lines(5, 26)}, []Rate{25, 0, 0, 26}, 0, false},
		{"nine lines are undecided", [][]Status{lines(5, 25), lines(9, 0)}, []Rate{25}, 0, true},
		{"zeros before the first rate are not late", [][]Status{lines(6, 0), lines(5, 25)}, []Rate{0, 25}, 0, false},
		{"one of two devices is late", [][]Status{lines(5, 25, 25), lines(5, 25, 0), lines(5, 25, 26)}, []Rate{50, 51}, 1, false},
		{"one of two devices stops", [][]Status{lines(5, 25, 25), lines(11, 26, 0)}, []Rate{50, 26, 26}, 0, false},
		{"a device that is missing from later lines", [][]Status{lines(5, 25, 25), lines(10, 25)}, []Rate{50, 25, 25}, 0, false},
		{"a device that never mined is not late", [][]Status{lines(5, 25, 0), lines(5, 26, 0)}, []Rate{25, 26}, 0, false},
	} {
		var c Collector
		var got []Rate
		for _, s := range slices.Concat(test.lines...) {
			for _, settled := range c.Add(s) {
				got = append(got, settled.Rate)
			}
		}
		if !slices.Equal(got, test.want) || c.Late != test.late || c.Undecided() != test.undecided {
			t.Errorf("%s: got collections %v, %d late, undecided %v, want %v, %d, %v", test.name, got, c.Late, c.Undecided(), test.want, test.late, test.undecided)
		}
	}
}
