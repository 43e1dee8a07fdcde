// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"maps"
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
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

// display returns the values for display: NoEcho values are hidden.
func display(t *template.Template, values map[string]string) query.Members[parameter] {
	var list query.Members[parameter]
	for _, key := range slices.Sorted(maps.Keys(values)) {
		p := parameter{key, values[key]}
		if t.Parameter(key).NoEcho {
			p.Value = hidden
		}
		list.Items = append(list.Items, p)
	}
	return list
}
