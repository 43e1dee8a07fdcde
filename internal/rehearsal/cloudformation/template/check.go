// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"slices"
	"strings"
)

var sections = []string{
	"AWSTemplateFormatVersion", "Conditions", "Description", "Hooks", "Mappings", "Metadata", "Outputs", "Parameters", "Resources", "Rules", "Transform",
}

// check applies the checks of ValidateTemplate. Like AWS, it accepts a FindInMap of a
// missing row.
func (t *Template) check() error {
	for _, key := range keys(t.doc) {
		if !slices.Contains(sections, key) {
			return invalid("Invalid template property or properties [%s]", key)
		}
	}
	for _, name := range []string{"Parameters", "Resources"} {
		for _, key := range keys(t.section(name)) {
			if text(t.section(name)[key], "Type") == "" {
				return invalid("Template format error: [/%s/%s] Every %s object must contain a Type member.", name, key, name)
			}
		}
	}
	if len(t.section("Resources")) == 0 {
		return invalid("Template format error: At least one Resources member must be defined.")
	}
	if err := t.checkMappings(); err != nil {
		return err
	}
	for _, block := range []string{"Resources", "Outputs"} {
		var missing []string
		if err := t.walk(t.doc[block], func(name string) {
			if !strings.HasPrefix(name, "AWS::") && t.section("Parameters")[name] == nil && t.section("Resources")[name] == nil {
				missing = append(missing, name)
			}
		}); err != nil {
			return err
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			return invalid("Template format error: Unresolved resource dependencies [%s] in the %s block of the template", strings.Join(slices.Compact(missing), ", "), block)
		}
	}
	return nil
}

// checkMappings checks the names in mappings, which allow fewer characters than YAML.
func (t *Template) checkMappings() error {
	only := func(name, more string) bool {
		return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"+more) == ""
	}
	for _, mapping := range keys(t.section("Mappings")) {
		rows, ok := t.section("Mappings")[mapping].(map[string]any)
		if !ok || !only(mapping, "") {
			return invalid("Template format error: Mappings element '%s' must be an alphanumeric name of a map", mapping)
		}
		for _, row := range keys(rows) {
			cells, ok := rows[row].(map[string]any)
			if mapping == "Fn::Transform" {
				continue
			}
			if !ok || !only(row, ".-") {
				return invalid("Template format error: Every Mappings member %s must be a map", row)
			}
			for _, name := range keys(cells) {
				if !only(name, "") {
					return invalid("Template format error: Mappings attribute name '%s' must contain only alphanumeric characters.", name)
				}
			}
		}
	}
	return nil
}

// walk calls found with each name that a value references.
func (t *Template) walk(v any, found func(string)) error {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if err := t.walk(item, found); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range keys(v) {
			args, _ := v[key].([]any)
			name, _ := v[key].(string)
			switch {
			case key == "Ref" && name != "":
				found(name)
			case key == "Fn::GetAtt" && name != "":
				name, _, _ = strings.Cut(name, ".")
				found(name)
			case key == "Fn::GetAtt" && len(args) > 0:
				if name, ok := args[0].(string); ok {
					found(name)
				}
			case key == "Fn::Sub" && name != "":
				substituted(name, found)
			case key == "Fn::FindInMap" && len(args) > 0:
				if name, ok := args[0].(string); ok && t.section("Mappings")[name] == nil && t.section("Mappings")["Fn::Transform"] == nil {
					return invalid("Template error: mapping named '%s' is not present in the 'Mappings' section of template", name)
				}
			}
			if err := t.walk(v[key], found); err != nil {
				return err
			}
		}
	}
	return nil
}

// substituted finds ${Name} and ${Name.Attribute}, but not ${!Literal}.
func substituted(text string, found func(string)) {
	for {
		_, rest, ok := strings.Cut(text, "${")
		if !ok {
			return
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return
		}
		text = after
		if name, _, _ = strings.Cut(name, "."); !strings.HasPrefix(name, "!") {
			found(strings.TrimSpace(name))
		}
	}
}
