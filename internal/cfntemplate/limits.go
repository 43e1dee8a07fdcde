// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// CloudFormation's limits, from "Understand CloudFormation quotas" and
// "CloudFormation template Mappings syntax" in its user guide.
const (
	// MaxInline is the size in bytes up to which a template may be sent in a
	// request; above it, it must lie in S3.
	MaxInline    = 51_200
	maxSize      = 1 << 20 // bytes, in S3
	maxRows      = 200     // keys of a map
	maxCells     = 200     // names in a row
	maxName      = 255     // characters of a map's, row's or cell's name
	maxValueSize = 4096    // bytes; ours, a bound for what one cell may hold
)

var (
	mapName    = lazyregexp.New(`^[a-zA-Z0-9]+$`)
	rowName    = lazyregexp.New(`^[a-zA-Z0-9.-]+$`)
	cellName   = lazyregexp.New(`^[a-zA-Z0-9]+$`)
	amiID      = lazyregexp.New(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
	regionName = lazyregexp.New(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)
)

// IsAMI says whether s has the form of an image's id.
func IsAMI(s string) bool { return amiID.MatchString(s) }

// IsRegion says whether s has the form of a region's name. There is no list of
// regions: new ones come every year.
func IsRegion(s string) bool { return regionName.MatchString(s) }

// IsPlaceholder says whether a cell's text stands for an image that is still to
// come: empty, or ami- with something that is no id.
func IsPlaceholder(s string) bool {
	return strings.TrimSpace(s) == "" || strings.HasPrefix(s, "ami-") && !IsAMI(s)
}

// CheckMappingName, CheckAttribute: what CloudFormation lets a name consist of.
func CheckMappingName(s string) error { return checkName("map name", s, mapName, "letters and digits") }

// CheckAttribute says whether s can be the name of a cell.
func CheckAttribute(s string) error {
	return checkName("attribute", s, cellName, "letters and digits (so x86_64 is not allowed)")
}

func checkName(what, s string, form lazyregexp.Regexp, expected string) error {
	if !form.MatchString(s) {
		return fmt.Errorf("%s %q: CloudFormation takes only %s", what, s, expected)
	}
	if len(s) > maxName {
		return fmt.Errorf("%s of %d characters: CloudFormation takes up to %d", what, len(s), maxName)
	}
	return nil
}

// checkEdit checks what can be said of an edit without a template.
func checkEdit(mapping string, e Edit) error {
	if err := checkName("row name", e.Region, rowName, "letters, digits, dots and hyphens"); err != nil {
		return err
	}
	if e.Remove {
		if e.Attribute != "" || e.Value != "" {
			return fmt.Errorf("the edit of row %s removes it and sets a cell", e.Region)
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
			return fmt.Errorf("%s.%s.%s: %q has a character that can't be printed; expected one line of text", mapping, e.Region, e.Attribute, e.Value)
		}
	}
	return nil
}

// checkLimits refuses an edit after which CloudFormation would refuse the
// template. What was over a limit before is not held against the edit.
func (t *Template) checkLimits(m entry, rows []rowEdit, size int) error {
	if size > maxSize && size > len(t.src) {
		return &Error{File: t.name, Msg: fmt.Sprintf("the template would have %d bytes; CloudFormation takes up to %d", size, maxSize)}
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
			return t.errorf(m.key.start, "row %s would have %d names; CloudFormation takes up to %d", r.region, cells, maxCells)
		}
	}
	if count > maxRows && count > len(m.val.entry) {
		return t.errorf(m.key.start, "the map would have %d rows; CloudFormation takes up to %d: remove rows that are not used", count, maxRows)
	}
	if count == 0 {
		return t.errorf(m.key.start, "the map would have no row left; CloudFormation needs one: remove the map by hand")
	}
	return nil
}
