// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a hash rate in hashes per second.
type Rate float64

// rateUnits are ethminer's units, each 1000 times the one before.
var rateUnits = [...]string{"h", "Kh", "Mh", "Gh", "Th"}

// String formats the rate as ethminer does, with "/s": units in steps of 1000, two
// decimals below 100 and one otherwise ("25.25 Mh/s", "412.3 h/s").
func (r Rate) String() string {
	unit, factor := r.Unit()
	value := float64(r) / factor
	return strconv.FormatFloat(roundTo(value), 'f', decimals(value), 64) + " " + unit
}

// Unit returns the unit in which String formats the rate, and its factor: "Mh/s", 1e6.
func (r Rate) Unit() (name string, factor float64) {
	unit := 0
	factor = 1
	for unit < len(rateUnits)-1 && math.Abs(roundTo(float64(r)/factor)) >= 1000 {
		factor *= 1000
		unit++
	}
	return rateUnits[unit] + "/s", factor
}

// roundTo rounds to String's precision, so that 999.96 becomes 1.00 of the next unit
// and not "1000.0".
func roundTo(value float64) float64 {
	scale := math.Pow10(decimals(value))
	return math.Round(value*scale) / scale
}

func decimals(value float64) int {
	if math.Abs(value) < 99.995 {
		return 2
	}
	return 1
}

// ParseRate parses a rate with its unit, such as "25 Mh/s", "500 h" or
// "1.5GH/s". The unit is one of h, Kh, Mh, Gh, Th in steps of 1000, in any
// case, with or without "/s". It is required.
func ParseRate(text string) (Rate, error) {
	trimmed := strings.TrimSpace(text)
	cut := strings.IndexFunc(trimmed, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if cut <= 0 {
		return 0, fmt.Errorf("%q is not a hash rate: expected a number and a unit (h, Kh, Mh, Gh or Th per second), such as \"25 Mh/s\" or \"500 h\"", text)
	}
	number, err := strconv.ParseFloat(trimmed[:cut], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a hash rate: %q is not a number", text, trimmed[:cut])
	}
	unit := strings.TrimSpace(trimmed[cut:])
	scale, ok := unitScale(unit)
	if !ok {
		return 0, fmt.Errorf("%q is not a hash rate: unit %q is none of h, Kh, Mh, Gh, Th (with or without /s)", text, unit)
	}
	return Rate(number * scale), nil
}

// unitScale returns the factor of a unit: 1e6 for "Mh".
func unitScale(unit string) (float64, bool) {
	if len(unit) > 2 && strings.EqualFold(unit[len(unit)-2:], "/s") {
		unit = unit[:len(unit)-2]
	}
	scale := 1.0
	for _, u := range rateUnits {
		if strings.EqualFold(u, unit) {
			return scale, true
		}
		scale *= 1000
	}
	return 0, false
}
