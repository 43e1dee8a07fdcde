// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package shortlist shows the beginning of a list.
package shortlist

import (
	"fmt"
	"strings"
)

// most is the number of elements shown.
const most = 10

// Join joins the first ten elements of a list, and adds the number of the others.
func Join(list []string) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
