// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// CloudFormation's limits, from "Understand CloudFormation quotas" and
// "CloudFormation template Mappings syntax" in its user guide.
const (
	// MaxInline is the maximum size in bytes of a template in a request; a larger
	// template must be in S3.
	MaxInline    = 51_200
	maxSize      = 1 << 20 // bytes, in S3
	maxRows      = 200     // keys of a map
	maxCells     = 200     // names in a row
	maxName      = 255     // characters of a map's, row's or cell's name
	maxValueSize = 4096    // bytes; our own limit for a cell
)

var (
	mapName  = lazyregexp.New(`^[a-zA-Z0-9]+$`)
	rowName  = lazyregexp.New(`^[a-zA-Z0-9.-]+$`)
	cellName = lazyregexp.New(`^[a-zA-Z0-9]+$`)
)

// IsAMI reports whether s has the form of an image id. An id of zeros only is a
// placeholder.
func IsAMI(s string) bool {
	digits, ok := strings.CutPrefix(s, "ami-")
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == "" && strings.Trim(digits, "0") != ""
}

// IsRegion reports whether s has the form of a region name. It uses no list of
// regions, because AWS adds new ones every year.
func IsRegion(s string) bool { return region.HasSyntax(s) }

// IsPlaceholder reports whether a cell's text stands for a future image: it is
// empty, or ami- and one word that is not an id, such as ami-TODO. Two ids, a file
// name and an id in capital letters are content.
func IsPlaceholder(s string) bool {
	return strings.TrimSpace(s) == "" || placeholderWord.MatchString(s) && !IsAMI(strings.ToLower(s))
}

var placeholderWord = lazyregexp.New(`^ami-[^\s,;:./]*$`)

// CheckMappingName checks that CloudFormation accepts s as the name of a map.
func CheckMappingName(s string) error { return checkName("map name", s, mapName, "letters and digits") }

// CheckAttribute checks that CloudFormation accepts s as the name of a cell.
func CheckAttribute(s string) error {
	return checkName("attribute", s, cellName, "letters and digits (so x86_64 is not allowed)")
}

func checkName(what, s string, form lazyregexp.Regexp, expected string) error {
	if !form.MatchString(s) {
		return fmt.Errorf("%s %q: CloudFormation accepts only %s", what, s, expected)
	}
	if len(s) > maxName {
		return fmt.Errorf("%s of %d characters: CloudFormation accepts up to %d", what, len(s), maxName)
	}
	return nil
}

// checkEdit checks an edit without the template.
func checkEdit(mapping string, e Edit) error {
	if err := checkName("row name", e.Region, rowName, "letters, digits, dots and hyphens"); err != nil {
		return err
	}
	if e.Remove {
		if e.Attribute != "" || e.Value != "" {
			return fmt.Errorf("the edit of row %s both removes it and sets a cell", e.Region)
		}
		return nil
	}
	if err := CheckAttribute(e.Attribute); err != nil {
		return err
	}
	if e.Value == "" || len(e.Value) > maxValueSize {
		return fmt.Errorf("%s.%s.%s: a value of %d bytes; expected 1 to %d", mapping, e.Region, e.Attribute, len(e.Value), maxValueSize)
	}
	for _, c := range e.Value {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("%s.%s.%s: %q contains an unprintable character; expected one line of text", mapping, e.Region, e.Attribute, e.Value)
		}
	}
	return nil
}

// checkLimits rejects an edit that would exceed a CloudFormation limit. A limit that
// the template already exceeds is ignored.
func (t *Template) checkLimits(m entry, rows []rowEdit, size int) error {
	if size > maxSize && size > len(t.src) {
		return &Error{File: t.name, Msg: fmt.Sprintf("the template would have %d bytes; CloudFormation accepts up to %d", size, maxSize)}
	}
	count := len(m.val.entry)
	for _, r := range rows {
		i := m.val.find(r.region)
		if r.remove {
			count--
			continue
		}
		cells := len(r.cells)
		if i < 0 {
			count++
		} else {
			row := m.val.entry[i].val
			for _, c := range r.cells {
				if row.find(c.Attribute) >= 0 {
					cells--
				}
			}
			if cells > 0 {
				cells += len(row.entry)
			}
		}
		if cells > maxCells {
			return t.errorf(m.key.start, "row %s would have %d names; CloudFormation accepts up to %d", r.region, cells, maxCells)
		}
	}
	if count > maxRows && count > len(m.val.entry) {
		return t.errorf(m.key.start, "the map would have %d rows; CloudFormation accepts up to %d: remove unused rows", count, maxRows)
	}
	if count == 0 {
		return t.errorf(m.key.start, "the map would have no rows left; CloudFormation requires one: remove the map by hand")
	}
	return nil
}
