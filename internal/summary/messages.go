// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package summary

import (
	"maps"
	"slices"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
)

// ReportTo calls say with the results of a complete build, for programs.
func (b Build) ReportTo(say func(kind string, values ...string)) {
	for _, region := range slices.Sorted(maps.Keys(b.Images)) {
		say(machinereadable.Image, region, b.Images[region], "")
	}
	for _, account := range slices.Sorted(maps.Keys(b.Accounts)) {
		for _, region := range slices.Sorted(maps.Keys(b.Accounts[account])) {
			say(machinereadable.Image, region, b.Accounts[account][region], account)
		}
	}
	if m := b.Measured; m != nil {
		say(machinereadable.Hashrate, number(float64(m.Hashrate)), number(m.LimitShare))
	}
	for _, test := range b.LaunchTests {
		say(machinereadable.LaunchTest, test.Region, test.Image, test.Verdict, number(test.Hashrate))
	}
	if cost := b.cost(); cost > 0 {
		say(machinereadable.Cost, number(cost))
	}
}

// number formats a value, and an unknown one, 0, as an empty text.
func number(value float64) string {
	if value == 0 {
		return ""
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}
