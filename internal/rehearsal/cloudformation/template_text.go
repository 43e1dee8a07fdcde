// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"strings"
	"unicode/utf8"
)

// returned is a template as CloudFormation returns it: with a question mark for each
// character outside ASCII
// (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/814).
func returned(body string) string {
	return strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf {
			return '?'
		}
		return c
	}, body)
}
