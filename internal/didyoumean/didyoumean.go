// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package didyoumean suggests the intended name for a mistyped one.
package didyoumean

import (
	"slices"
	"strings"
)

// Nearest returns the name that s was probably meant to be, or up to three names
// joined by "or"; empty if no name is near.
func Nearest(s string, names []string) string {
	near, _ := Near(s, names)
	return strings.Join(near, " or ")
}

// Near returns up to three names with the smallest distance from s, and the distance.
// The limit is one letter, or a third of the letters if s has more than four.
func Near(s string, names []string) (near []string, least int) {
	least = 1
	if len(s) > 4 {
		least = max(2, len(s)/3)
	}
	for _, name := range names {
		d := Distance(strings.ToLower(s), strings.ToLower(name))
		if d < least {
			near, least = nil, d
		}
		if d == least && !slices.Contains(near, name) && len(near) < 3 {
			near = append(near, name)
		}
	}
	return near, least
}

// Distance counts the edits that turn a into b: insert, delete or replace a letter,
// or swap two adjacent letters.
func Distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
