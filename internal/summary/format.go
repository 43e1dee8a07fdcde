// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package summary

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Duration formats seconds: "0.2 s", "42 s", "3 min 12 s", "1 h 5 min".
func Duration(seconds float64) string {
	if seconds < 9.95 {
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	}
	whole := int(math.Round(seconds))
	switch {
	case whole < 60:
		return fmt.Sprintf("%d s", whole)
	case whole < 3600:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", whole/60, whole%60), " 0 s")
	}
	minutes := (whole + 30) / 60
	return strings.TrimSuffix(fmt.Sprintf("%d h %d min", minutes/60, minutes%60), " 0 min")
}

// Share formats a fraction: "64 %", "0.5 %".
func Share(fraction float64) string {
	percent := 100 * fraction
	if percent > 0 && percent < 9.95 {
		return strconv.FormatFloat(percent, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(percent, 'f', 0, 64) + " %"
}

// Count formats a number of things: "1 region", "3 regions".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
