// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"maps"
	"slices"
	"strings"
)

// Parameter is a parameter that a template declares; the zero value if it does not.
type Parameter struct {
	Key         string
	Type        string
	Default     *string
	NoEcho      bool
	Description string
}

// Parameter returns the parameter of that name.
func (t *Template) Parameter(key string) Parameter {
	p, ok := t.section("Parameters")[key].(map[string]any)
	if !ok {
		return Parameter{}
	}
	out := Parameter{Key: key, Type: text(p, "Type"), NoEcho: strings.EqualFold(text(p, "NoEcho"), "true"), Description: text(p, "Description")}
	if p["Default"] != nil {
		v := text(p, "Default")
		out.Default = &v
	}
	return out
}

// Parameters returns the declared parameters, ordered by name.
func (t *Template) Parameters() []Parameter {
	var all []Parameter
	for _, key := range keys(t.section("Parameters")) {
		all = append(all, t.Parameter(key))
	}
	return all
}

// Description returns the description of the template.
func (t *Template) Description() string { return text(t.doc, "Description") }

// Values adds the template's defaults to the given values. It returns an error for
// missing, unknown or disallowed values.
func (t *Template) Values(of map[string]string) (map[string]string, error) {
	all := map[string]string{}
	declared := t.section("Parameters")
	var unknown, missing []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		if declared[key] == nil {
			unknown = append(unknown, key)
		}
	}
	for _, key := range keys(declared) {
		value, ok := of[key]
		if d := t.Parameter(key).Default; !ok && d != nil {
			value, ok = *d, true
		}
		if !ok {
			missing = append(missing, key)
			continue
		}
		if err := t.constrain(key, value); err != nil {
			return nil, err
		}
		all[key] = value
	}
	if len(unknown) > 0 {
		return nil, invalid("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	if len(missing) > 0 {
		return nil, invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return all, nil
}
