// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"maps"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// hidden is the shown value of a NoEcho parameter.
const hidden = "****"

type parameter struct {
	Key   string `xml:"ParameterKey"`
	Value string `xml:"ParameterValue"`
}

// requestParameters returns the values of a request's parameter list, including
// previous values that it reuses.
func requestParameters(list []query.Params, before map[string]string) (map[string]string, error) {
	values := map[string]string{}
	for _, p := range list {
		key := p.Get("ParameterKey")
		if !p.Bool("UsePreviousValue", false) {
			values[key] = p.Get("ParameterValue")
			continue
		}
		previous, ok := before[key]
		switch {
		case p.Has("ParameterValue"):
			return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", key)
		case !ok:
			return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", key)
		}
		values[key] = previous
	}
	return values, nil
}

// values adds the template's defaults to the given values. It returns an error for
// missing, unknown or disallowed values.
func (t *template) values(of map[string]string) (map[string]string, error) {
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
		if d := t.parameter(key).Default; !ok && d != nil {
			value, ok = *d, true
		}
		if !ok {
			missing = append(missing, key)
			continue
		}
		if list, _ := declared[key].(map[string]any)["AllowedValues"].([]any); len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { return text(map[string]any{"v": v}, "v") == value }) {
			return nil, invalid("Parameter '%s' must be one of AllowedValues", key)
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

// display returns the values for display: NoEcho values are hidden.
func (t *template) display(values map[string]string) query.Members[parameter] {
	var list query.Members[parameter]
	for _, key := range slices.Sorted(maps.Keys(values)) {
		p := parameter{key, values[key]}
		if t.section("Parameters")[key] != nil && t.parameter(key).NoEcho {
			p.Value = hidden
		}
		list.Items = append(list.Items, p)
	}
	return list
}
