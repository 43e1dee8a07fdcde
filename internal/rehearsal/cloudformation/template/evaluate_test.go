// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const evaluated = `
Parameters:
  Size: {Type: Number, Default: 2}
  Subnets: {Type: 'List<AWS::EC2::Subnet::Id>'}
Mappings:
  M: {eu-west-1: {AMI: ami-1, List: [a, b]}}
Conditions:
  Big: !Not [!Equals [!Ref Size, '1']]
  Both: !And [!Condition Big, !Equals [!Ref 'AWS::Region', eu-west-1]]
  None: !Or [!Equals [a, b], !Not [!Condition Both]]
Resources:
  B: {Type: T, DependsOn: C, Properties: {A: !Ref A}}
  A: {Type: T, Properties: {V: !Sub '${C.Name}'}}
  C: {Type: T}
  D: {Type: T, Condition: None}
Outputs:
  O: {Value: !Ref A, Description: d}
  P: {Value: x, Condition: None}
`

func scopeOf(t *testing.T, body string) *Scope {
	t.Helper()
	parsed, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return &Scope{
		Template: parsed, Parameters: map[string]string{"Size": "2", "Subnets": "s-1, s-2"}, Region: "eu-west-1", Pseudo: map[string]string{"AWS::Region": "eu-west-1"},
		Zones: func(region string) []string { return []string{region + "a", region + "b"} },
		Resource: func(id, attribute string) (any, error) {
			if id == "X" {
				return nil, errors.New("no resource X")
			}
			return strings.TrimSuffix(id+"/"+attribute, "/"), nil
		},
		Parameter: func(name string) (string, error) {
			if name == "/none" {
				return "", errors.New("not found")
			}
			return "value of " + name, nil
		},
	}
}

func TestEvaluate(t *testing.T) {
	s := scopeOf(t, evaluated)
	for text, want := range map[string]string{
		`!Ref Size`:              `"2"`,
		`!Ref Subnets`:           `["s-1","s-2"]`,
		`!Ref A`:                 `"A"`,
		`!GetAtt A.B.C`:          `"A/B.C"`,
		`{"Fn::GetAtt": [A, B]}`: `"A/B"`,
		`!Sub '${Size} ${A} ${A.B} ${!Size} ${AWS::Region} $Size'`: `"2 A A/B ${Size} eu-west-1 $Size"`,
		`!Sub ['${V} ${Size}', {V: !GetAtt A.B}]`:                  `"A/B 2"`,
		`!FindInMap [M, !Ref 'AWS::Region', AMI]`:                  `"ami-1"`,
		`!FindInMap [M, eu-west-1, List]`:                          `["a","b"]`,
		`!If [Big, yes, no]`:                                       `"yes"`,
		`!If [None, yes, no]`:                                      `"no"`,
		`{A: !If [None, 1, !Ref 'AWS::NoValue'], B: 2}`:            `{"B":"2"}`,
		`[!Ref 'AWS::NoValue', a]`:                                 `["a"]`,
		`!Base64 {"Fn::Join": ['', [a, b]]}`:                       `"YWI="`,
		`!Join [':', [a, !Ref Size]]`:                              `"a:2"`,
		`!Join [',', !Ref Subnets]`:                                `"s-1,s-2"`,
		`!Select [1, !Split [',', 'a,b']]`:                         `"b"`,
		`!Select [0, !GetAZs '']`:                                  `"eu-west-1a"`,
		`!GetAZs us-east-1`:                                        `["us-east-1a","us-east-1b"]`,
		`'{{resolve:ssm:/a}} and {{resolve:ssm:/b}}'`:              `"value of /a and value of /b"`,
		`!Ref X`:                         `error: no resource X`,
		`!FindInMap [M, eu-west-2, AMI]`: `error: ValidationError: Template error: Unable to get mapping for M::eu-west-2::AMI`,
		`!If [Unknown, a, b]`:            `error: ValidationError: Template error: unresolved condition dependency Unknown in Fn::If`,
		`!Select [2, [a, b]]`:            `error: ValidationError: Template error: Fn::Select cannot select nonexistent value at index 2`,
		`!ImportValue a`:                 `error: ValidationError: Template error: the rehearsal does not support the function Fn::ImportValue`,
		`'{{resolve:ssm:/none}}'`:        `error: ValidationError: Unable to fetch parameters [/none] from parameter store for this account.`,
	} {
		v, err := parseYAML(text)
		if err != nil {
			t.Fatal(text, err)
		}
		got := ""
		if v, err = s.Evaluate(v); err != nil {
			got = "error: " + err.Error()
		} else {
			encoded, _ := json.Marshal(v)
			got = string(encoded)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestResources(t *testing.T) {
	s := scopeOf(t, evaluated)
	order, err := s.Resources()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range order {
		ids = append(ids, r.ID)
	}
	if got := fmt.Sprint(ids); got != "[C A B]" {
		t.Errorf("got the order %s, want C, A, B", got)
	}
	outputs, err := s.Outputs()
	if err != nil || fmt.Sprint(outputs) != "[{O A d}]" {
		t.Errorf("got outputs %v, %v", outputs, err)
	}
	_, err = scopeOf(t, "Resources: {A: {Type: T, DependsOn: B}, B: {Type: T, Properties: {P: !Ref A}}, C: {Type: T}}").Resources()
	if err == nil || !strings.Contains(err.Error(), "Circular dependency between resources: [A, B]") {
		t.Errorf("got %v", err)
	}
}

func TestConstraints(t *testing.T) {
	for constraint, values := range map[string]map[string]string{
		"AllowedValues: [a, 1]":                   {"a": "", "1": "", "b": "Parameter 'P' must be one of AllowedValues"},
		"AllowedPattern: 'a+'":                    {"aa": "", "ab": "Parameter 'P' must match pattern a+", "ba": "Parameter 'P' must match pattern a+"},
		"AllowedPattern: '(?!a).*'":               {"a": ""}, // not in Go's syntax
		"MinLength: 2":                            {"ab": "", "é": "Parameter 'P' must contain at least 2 characters"},
		"MaxLength: 1":                            {"é": "", "ab": "Parameter 'P' must contain at most 1 characters"},
		"MinValue: 2":                             {"2": "", "1": "Parameter 'P' must be a number not less than 2"},
		"MaxValue: 2":                             {"2": "", "3": "Parameter 'P' must be a number not greater than 2"},
		"MinValue: 2, ConstraintDescription: big": {"1": "Parameter P failed to satisfy constraint: big"},
	} {
		parsed, err := Parse("Parameters: {P: {Type: String, " + constraint + "}}\nResources: {A: {Type: T}}")
		if err != nil {
			t.Fatal(err)
		}
		for value, want := range values {
			got := ""
			if _, err := parsed.Values(map[string]string{"P": value}); err != nil {
				got = strings.TrimPrefix(err.Error(), "ValidationError: ")
			}
			if got != want {
				t.Errorf("%s with %q: got %q, want %q", constraint, value, got, want)
			}
		}
	}
}
