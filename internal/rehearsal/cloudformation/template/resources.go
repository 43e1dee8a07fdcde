// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"maps"
	"slices"
	"strings"
)

// Resource is a resource that a template declares.
type Resource struct {
	ID, Type   string
	Properties map[string]any
	Condition  string
	Retain     bool           // DeletionPolicy: Retain
	Creation   map[string]any // CreationPolicy
	Update     map[string]any // UpdatePolicy
	Needs      []string       // ids of the resources that it refers to or depends on
}

// Resources returns the resources whose conditions hold, each after those it needs.
func (s *Scope) Resources() ([]Resource, error) {
	declared := map[string]Resource{}
	all := s.Template.section("Resources")
	for _, id := range keys(all) {
		m, _ := all[id].(map[string]any)
		r := Resource{ID: id, Type: text(m, "Type"), Condition: text(m, "Condition"), Retain: text(m, "DeletionPolicy") == "Retain"}
		r.Properties, _ = m["Properties"].(map[string]any)
		r.Creation, _ = m["CreationPolicy"].(map[string]any)
		r.Update, _ = m["UpdatePolicy"].(map[string]any)
		if r.Condition != "" {
			yes, err := s.Condition(r.Condition)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		needs := map[string]bool{}
		for _, name := range Texts(m["DependsOn"]) {
			needs[name] = true
		}
		if err := s.Template.walk(m["Properties"], func(name string) { needs[name] = true }); err != nil {
			return nil, err
		}
		delete(needs, id)
		r.Needs = slices.Sorted(maps.Keys(needs))
		declared[id] = r
	}
	var order []Resource
	for len(order) < len(declared) {
		before := len(order)
		for _, id := range slices.Sorted(maps.Keys(declared)) {
			has := func(id string) bool { return slices.ContainsFunc(order, func(r Resource) bool { return r.ID == id }) }
			ready := !slices.ContainsFunc(declared[id].Needs, func(need string) bool { _, is := declared[need]; return is && !has(need) })
			if !has(id) && ready {
				order = append(order, declared[id])
			}
		}
		if len(order) == before {
			var left []string
			for _, id := range slices.Sorted(maps.Keys(declared)) {
				if !slices.ContainsFunc(order, func(r Resource) bool { return r.ID == id }) {
					left = append(left, id)
				}
			}
			return nil, invalid("Circular dependency between resources: [%s]", strings.Join(left, ", "))
		}
	}
	return order, nil
}

// Output is an output of a stack.
type Output struct {
	Key         string `xml:"OutputKey"`
	Value       string `xml:"OutputValue"`
	Description string `xml:"Description,omitempty"`
}

// Outputs returns the outputs whose conditions hold.
func (s *Scope) Outputs() ([]Output, error) {
	var out []Output
	all := s.Template.section("Outputs")
	for _, key := range keys(all) {
		if condition := text(all[key], "Condition"); condition != "" {
			yes, err := s.Condition(condition)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		m, _ := all[key].(map[string]any)
		v, err := s.Evaluate(m["Value"])
		if err != nil {
			return nil, err
		}
		out = append(out, Output{key, Text(v), text(m, "Description")})
	}
	return out, nil
}
