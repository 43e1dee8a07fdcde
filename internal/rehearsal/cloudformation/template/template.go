// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package template parses CloudFormation templates, checks them as ValidateTemplate does,
// and evaluates their functions and conditions. It knows no service.
package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Template is a parsed template. Its YAML's short forms are long forms: !Ref A is
// {"Ref": "A"}.
type Template struct {
	Body string
	doc  map[string]any
}

// Parse parses a template like CloudFormation: as JSON, then as YAML.
func Parse(body string) (*Template, error) {
	t := &Template{Body: body}
	var doc any
	if strings.HasPrefix(strings.TrimSpace(body), "{") && json.Unmarshal([]byte(body), &doc) == nil {
		if where := findNull(doc, ""); where != "" {
			return nil, nullError(where)
		}
	} else {
		var err error
		if doc, err = parseYAML(body); err != nil {
			return nil, err
		}
	}
	var ok bool
	if t.doc, ok = doc.(map[string]any); !ok {
		return nil, invalid("Template format error: unsupported structure.")
	}
	return t, t.check()
}

func parseYAML(body string) (any, error) {
	var node yaml.Node
	d := yaml.NewDecoder(bytes.NewReader([]byte(body)))
	if err := d.Decode(&node); err != nil {
		return nil, invalid("Template format error: YAML not well-formed. (%v)", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return decodeNode(node.Content[0], "")
}

// decodeNode converts a YAML node to a value; path is the node's location.
func decodeNode(n *yaml.Node, path string) (any, error) {
	var v any
	switch n.Kind {
	case yaml.AliasNode:
		return nil, invalid("Template error: YAML aliases are not allowed in CloudFormation templates")
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			part, err := decodeNode(n.Content[i+1], path+"/"+key)
			if err != nil {
				return nil, err
			}
			m[key] = part
		}
		v = m
	case yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			part, err := decodeNode(item, fmt.Sprintf("%s/%d", path, i))
			if err != nil {
				return nil, err
			}
			list = append(list, part)
		}
		v = list
	default:
		if n.Tag == "!!null" {
			return nil, nullError(path)
		}
		v = n.Value
	}
	if !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return v, nil
	}
	return longForm(n.Tag[1:], v), nil
}

// longForm returns the long form of a short form.
func longForm(name string, v any) any {
	switch text, scalar := v.(string); {
	case name == "Ref" || name == "Condition":
		return map[string]any{name: v}
	case name == "GetAtt" && scalar:
		resource, attribute, _ := strings.Cut(text, ".")
		return map[string]any{"Fn::GetAtt": []any{resource, attribute}}
	}
	return map[string]any{"Fn::" + name: v}
}

// findNull returns the location of the first null value, or an empty string.
func findNull(v any, path string) string {
	switch v := v.(type) {
	case nil:
		return path
	case map[string]any:
		for _, key := range keys(v) {
			if where := findNull(v[key], path+"/"+key); where != "" {
				return where
			}
		}
	case []any:
		for i, item := range v {
			if where := findNull(item, fmt.Sprintf("%s/%d", path, i)); where != "" {
				return where
			}
		}
	}
	return ""
}

func nullError(path string) error {
	return invalid("Template format error: [%s] 'null' values are not allowed in templates", path)
}

func keys(m map[string]any) []string {
	var list []string
	for key := range m {
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}

// invalid returns a ValidationError.
func invalid(format string, args ...any) error {
	return query.Errorf("ValidationError", format, args...)
}

// section returns a section of the template, empty if absent.
func (t *Template) section(name string) map[string]any {
	m, _ := t.doc[name].(map[string]any)
	return m
}

func text(m any, key string) string {
	part, ok := m.(map[string]any)
	if !ok || part[key] == nil {
		return ""
	}
	return fmt.Sprint(part[key])
}
