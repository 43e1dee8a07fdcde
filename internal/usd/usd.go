// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package usd formats amounts of US dollars.
package usd

import (
	"fmt"
	"strconv"
	"strings"
)

// Price returns a price with two to four decimal places, such as "$0.526": prices and
// limits that differ look different.
func Price(amount float64) string {
	text := strconv.FormatFloat(amount, 'f', 4, 64)
	text = strings.TrimSuffix(text, "0")
	return "$" + strings.TrimSuffix(text, "0")
}

// Cost returns an amount in whole cents after a qualifier, such as "about $0.14"; the
// qualifier may be empty. An amount that rounds to nothing is "less than $0.01" instead.
func Cost(qualifier string, amount float64) string {
	if amount > 0 && amount < 0.005 {
		return "less than $0.01"
	}
	return strings.TrimSpace(fmt.Sprintf("%s $%.2f", qualifier, amount))
}
