// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Scope has the values that a template's functions refer to.
type Scope struct {
	Template   *Template
	Parameters map[string]string // of all declared parameters
	Region     string
	Pseudo     map[string]string // pseudo parameters such as AWS::Region
	// Zones returns the zones of a region for Fn::GetAZs.
	Zones func(region string) []string
	// Resource returns the value of Ref, if attribute is empty, or of Fn::GetAtt. With
	// nil, references to resources are errors.
	Resource func(logicalID, attribute string) (any, error)
	// Parameter returns the value of a parameter of Systems Manager for the dynamic
	// reference {{resolve:ssm:NAME}}.
	Parameter func(name string) (string, error)
}

// noValue is the value of AWS::NoValue: its property is removed.
type noValue struct{}

// Evaluate returns a value with its functions replaced by their results. Its errors are
// CloudFormation's.
func (s *Scope) Evaluate(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, args, ok := function(v); ok {
			return s.call(name, args)
		}
		out := map[string]any{}
		for _, key := range keys(v) {
			part, err := s.Evaluate(v[key])
			if err != nil {
				return nil, err
			}
			if part != (noValue{}) {
				out[key] = part
			}
		}
		return out, nil
	case []any:
		out := []any{}
		for _, item := range v {
			part, err := s.Evaluate(item)
			if err != nil {
				return nil, err
			}
			if part != (noValue{}) {
				out = append(out, part)
			}
		}
		return out, nil
	case string:
		return s.dynamic(v)
	}
	return v, nil
}

// function returns the function that a map calls.
func function(m map[string]any) (name string, args any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for name, args := range m {
		return name, args, name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::")
	}
	return "", nil, false
}

func (s *Scope) call(name string, args any) (any, error) {
	switch name {
	case "Ref":
		id, _ := args.(string)
		return s.ref(id)
	case "Fn::GetAtt":
		return s.getAtt(args)
	case "Fn::Sub":
		return s.sub(args)
	case "Fn::FindInMap":
		return s.findInMap(args)
	case "Fn::If":
		list, ok := args.([]any)
		if !ok || len(list) != 3 {
			return nil, invalid("Template error: Fn::If requires a list argument with three elements")
		}
		name, _ := list[0].(string)
		yes, err := s.Condition(name)
		if err != nil {
			return nil, err
		}
		if yes {
			return s.Evaluate(list[1])
		}
		return s.Evaluate(list[2])
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or", "Condition":
		return s.truth(map[string]any{name: args})
	}
	v, err := s.Evaluate(args)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	switch name {
	case "Fn::Base64":
		return base64.StdEncoding.EncodeToString([]byte(Text(v))), nil
	case "Fn::Join":
		if len(list) != 2 {
			return nil, invalid("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
		}
		return strings.Join(Texts(list[1]), Text(list[0])), nil
	case "Fn::Split":
		if len(list) != 2 {
			return nil, invalid("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
		}
		return anys(strings.Split(Text(list[1]), Text(list[0]))), nil
	case "Fn::Select":
		return choose(list)
	case "Fn::GetAZs":
		region := Text(v)
		if region == "" {
			region = s.Region
		}
		return anys(s.Zones(region)), nil
	}
	return nil, invalid("Template error: the rehearsal does not support the function %s", name)
}

// ref returns the value of a parameter or of a resource.
func (s *Scope) ref(id string) (any, error) {
	if id == "AWS::NoValue" {
		return noValue{}, nil
	}
	if v, ok := s.Pseudo[id]; ok {
		return v, nil
	}
	if v, ok := s.Parameters[id]; ok {
		if kind := s.Template.Parameter(id).Type; kind == "CommaDelimitedList" || strings.Contains(kind, "List<") {
			list := strings.Split(v, ",")
			for n := range list {
				list[n] = strings.TrimSpace(list[n])
			}
			return anys(list), nil
		}
		return v, nil
	}
	return s.resource(id, "")
}

func (s *Scope) resource(id, attribute string) (any, error) {
	if s.Resource == nil {
		return nil, invalid("Template error: Unable to resolve the reference to %s", id)
	}
	return s.Resource(id, attribute)
}

func (s *Scope) getAtt(args any) (any, error) {
	parts, ok := args.([]any)
	if text, scalar := args.(string); scalar {
		id, attribute, _ := strings.Cut(text, ".")
		parts, ok = []any{id, attribute}, true
	}
	if !ok || len(parts) != 2 {
		return nil, invalid("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
	}
	return s.resource(Text(parts[0]), Text(parts[1]))
}

// sub replaces ${Name} and ${Name.Attribute}; ${!Name} becomes ${Name}.
func (s *Scope) sub(args any) (any, error) {
	own := map[string]any{}
	text, ok := args.(string)
	if list, isList := args.([]any); isList && len(list) == 2 {
		text, ok = list[0].(string)
		v, err := s.Evaluate(list[1])
		if err != nil {
			return nil, err
		}
		own, _ = v.(map[string]any)
	}
	if !ok {
		return nil, invalid("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			break
		}
		text = after
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
			continue
		}
		v, err := s.named(strings.TrimSpace(name), own)
		if err != nil {
			return nil, err
		}
		b.WriteString(Text(v))
	}
	return s.dynamic(b.String())
}

// named returns the value of a name in Fn::Sub.
func (s *Scope) named(name string, own map[string]any) (any, error) {
	if v, ok := own[name]; ok {
		return v, nil
	}
	if id, attribute, ok := strings.Cut(name, "."); ok {
		return s.resource(id, attribute)
	}
	return s.ref(name)
}

func (s *Scope) findInMap(args any) (any, error) {
	v, err := s.Evaluate(args)
	if err != nil {
		return nil, err
	}
	names := Texts(v)
	if len(names) < 3 {
		return nil, invalid("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	rows, _ := s.Template.section("Mappings")[names[0]].(map[string]any)
	row, _ := rows[names[1]].(map[string]any)
	found, ok := row[names[2]]
	if !ok {
		return nil, invalid("Template error: Unable to get mapping for %s", strings.Join(names[:3], "::"))
	}
	return found, nil
}

// Condition returns the value of a condition.
func (s *Scope) Condition(name string) (bool, error) {
	v, ok := s.Template.section("Conditions")[name]
	if !ok {
		return false, invalid("Template error: unresolved condition dependency %s in Fn::If", name)
	}
	return s.truth(v)
}

// truth evaluates a condition function.
func (s *Scope) truth(v any) (bool, error) {
	m, _ := v.(map[string]any)
	name, args, ok := function(m)
	list, _ := args.([]any)
	switch {
	case ok && name == "Condition":
		return s.Condition(Text(args))
	case ok && name == "Fn::Equals" && len(list) == 2:
		a, err := s.Evaluate(list[0])
		if err != nil {
			return false, err
		}
		b, err := s.Evaluate(list[1])
		return Text(a) == Text(b), err
	case ok && name == "Fn::Not" && len(list) == 1:
		yes, err := s.truth(list[0])
		return !yes, err
	case ok && (name == "Fn::And" || name == "Fn::Or") && len(list) > 1:
		for _, part := range list {
			if yes, err := s.truth(part); err != nil || yes == (name == "Fn::Or") {
				return yes, err
			}
		}
		return name == "Fn::And", nil
	}
	return false, invalid("Template error: every condition must be one of Fn::Equals, Fn::Not, Fn::And, Fn::Or and Condition, with its arguments")
}

func choose(list []any) (any, error) {
	if len(list) != 2 {
		return nil, invalid("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	}
	from, _ := list[1].([]any)
	n, err := strconv.Atoi(Text(list[0]))
	if err != nil || n < 0 || n >= len(from) {
		return nil, invalid("Template error: Fn::Select cannot select nonexistent value at index %s", Text(list[0]))
	}
	return from[n], nil
}

// dynamic replaces the dynamic references to parameters of Systems Manager in a string.
func (s *Scope) dynamic(text string) (any, error) {
	for {
		before, rest, found := strings.Cut(text, "{{resolve:ssm:")
		name, after, closed := strings.Cut(rest, "}}")
		if !found || !closed || s.Parameter == nil {
			return text, nil
		}
		v, err := s.Parameter(name)
		if err != nil {
			return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", name)
		}
		text = before + v + after
	}
}

// Text returns a scalar as text.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		return strings.Join(Texts(v), ",")
	}
	return fmt.Sprint(v)
}

// Texts returns a list of scalars as texts; a scalar is a list of one.
func Texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		if v == nil {
			return nil
		}
		return []string{Text(v)}
	}
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = Text(item)
	}
	return out
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
