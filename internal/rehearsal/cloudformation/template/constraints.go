// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// constrain returns the error of a value that does not satisfy the constraints of its
// parameter. A pattern that Go's syntax does not include is not checked.
func (t *Template) constrain(key, value string) error {
	p, _ := t.section("Parameters")[key].(map[string]any)
	problem := violation(p, value)
	switch description := text(p, "ConstraintDescription"); {
	case problem == "":
		return nil
	case description != "":
		return invalid("Parameter %s failed to satisfy constraint: %s", key, description)
	}
	return invalid("Parameter '%s' %s", key, problem)
}

// violation returns which constraint a value violates, or an empty string.
func violation(p map[string]any, value string) string {
	if list, _ := p["AllowedValues"].([]any); len(list) > 0 && !slices.Contains(Texts(list), value) {
		return "must be one of AllowedValues"
	}
	if pattern := text(p, "AllowedPattern"); pattern != "" {
		if re, err := regexp.Compile("^(?:" + pattern + ")$"); err == nil && !re.MatchString(value) {
			return "must match pattern " + pattern
		}
	}
	number, err := strconv.ParseFloat(value, 64)
	if text(p, "Type") == "Number" && err != nil {
		return "must be a number"
	}
	length := float64(utf8.RuneCountInString(value))
	for _, c := range []struct {
		name, before, after string
		got                 float64
		sign                int // of a violating difference
	}{
		{"MinValue", "must be a number not less than ", "", number, -1}, {"MaxValue", "must be a number not greater than ", "", number, 1},
		{"MinLength", "must contain at least ", " characters", length, -1}, {"MaxLength", "must contain at most ", " characters", length, 1},
	} {
		limit, err := strconv.ParseFloat(text(p, c.name), 64)
		if err == nil && cmp.Compare(c.got, limit) == c.sign {
			return c.before + text(p, c.name) + c.after
		}
	}
	return ""
}
