// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"strings"
	"unicode/utf8"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// sameText compares templates. One of them comes from an XML response, in which a
// line does not end with CR (https://www.w3.org/TR/xml/#sec-line-ends).
func sameText(a, b string) bool { return plainText(a) == plainText(b) }

func plainText(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// lost matches the characters that CloudFormation can return as question marks.
var lost = lazyregexp.New(`[?\x{80}-\x{10ffff}]+`)

// Alike reports whether CloudFormation may have returned the template sent. It
// returns a question mark for a character outside ASCII
// (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/814),
// so two templates that differ only in such characters are alike.
func Alike(returned, sent string) bool {
	if isASCII(sent) || !isASCII(returned) {
		return sameText(returned, sent)
	}
	return lost.ReplaceAllString(plainText(returned), "?") == lost.ReplaceAllString(plainText(sent), "?")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}
