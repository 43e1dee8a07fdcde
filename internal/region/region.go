// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package region checks the names of AWS regions. It makes no calls, and uses neither
// Packer nor the AWS SDK.
//
// AWS adds regions, so a name that is not in the list can be valid. The list is used
// only to suggest a name.
package region

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// syntax covers every partition: us-east-1, us-gov-west-1, cn-north-1,
// eusc-de-east-1.
var syntax = lazyregexp.New(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)

// HasSyntax reports whether name has the form of a region name.
func HasSyntax(name string) bool { return syntax.MatchString(name) }

// IsKnown reports whether name was a region when this was written.
func IsKnown(name string) bool { return slices.Contains(known, name) }

// Check checks the region in an attribute: it must have the form of a region name, and
// must not be a likely typo.
func Check(attribute, name string) error {
	if name == hclvalue.Unknown {
		return nil
	}
	if wrong := Wrong(name); wrong != "" {
		return fmt.Errorf("%s: got %q, %s%s", attribute, name, wrong, DidYouMean(name))
	}
	return nil
}

// Wrong returns why a name is unlikely to be a region, "" if it may be one. AWS uses
// few words in names, and an unknown country one letter away from a known region is
// a typo.
func Wrong(name string) string {
	if !HasSyntax(name) {
		return `want a region such as "us-east-1" or "eu-central-1"`
	}
	if IsKnown(name) {
		return ""
	}
	place := name[:strings.LastIndexByte(name, '-')]
	country, words, _ := strings.Cut(place, "-")
	for _, word := range strings.Split(words, "-") {
		if len(word) > 2 && !strings.HasPrefix(word, "iso") && !slices.Contains(regionWords, word) {
			return "which is not a region"
		}
	}
	if slices.ContainsFunc(known, func(r string) bool { return strings.HasPrefix(r, country+"-") }) {
		return ""
	}
	if near, letters := didyoumean.Near(name, known); len(near) > 0 && letters < 2 {
		return "which is not a region"
	}
	return ""
}

// regionWords are the words in region names, besides countries of two letters and
// isolated partitions (iso, isob, ...).
var regionWords = strings.Fields("north south east west central northeast northwest southeast southwest gov")

// DidYouMean returns "; did you mean NAME?" if known regions are close to name, which
// is not a region; else "".
func DidYouMean(name string) string {
	if meant := Meant(name); meant != "" {
		return "; " + meant
	}
	return ""
}

// Meant is DidYouMean without the separator, to begin a remedy with.
func Meant(name string) string {
	clean := strings.ToLower(strings.NewReplacer("_", "-", " ", "").Replace(name))
	if near, letters := didyoumean.Near(clean, known); len(near) > 0 && letters < 3 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// Partition returns the partition of a region by its name, according to the published
// region patterns of the partitions.
func Partition(region string) string {
	for _, p := range []struct{ prefix, name string }{
		{"cn-", "aws-cn"},
		{"us-gov-", "aws-us-gov"},
		{"us-isob-", "aws-iso-b"},
		{"us-isof-", "aws-iso-f"},
		{"eu-isoe-", "aws-iso-e"},
		{"us-iso-", "aws-iso"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}

// OnePartition checks that all regions belong to the partition of the first one.
func OnePartition(regions []string) error {
	for _, r := range regions {
		if a, b := Partition(regions[0]), Partition(r); a != b {
			return fmt.Errorf("%s is in partition %s and %s in %s: publish to each partition separately, with its own credentials", regions[0], a, r, b)
		}
	}
	return nil
}
