// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package policy parses and evaluates IAM policies, and generates the minimum
// policy of a build. It depends on neither Packer nor the AWS SDK.
//
// It supports statements for all resources, with conditions on tags for some actions
// of EC2 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html).
// Parse refuses others, as their evaluation would be wrong.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
)

// version is the version of the policy language.
const version = "2012-10-17"

// Document is an identity policy.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement allows or denies actions. One of Action and NotAction is set.
type Statement struct {
	Sid       string    `json:",omitempty"`
	Effect    string    // "Allow" or "Deny"
	Action    Strings   `json:",omitempty"` // such as ec2:RunInstances; * and ? are wildcards
	NotAction Strings   `json:",omitempty"`
	Resource  Strings   // "*"
	Condition Condition `json:",omitempty"`
}

// Strings is a string or a list of strings, as IAM accepts both.
type Strings []string

// UnmarshalJSON parses both forms.
func (s *Strings) UnmarshalJSON(text []byte) error {
	switch {
	case string(text) == "true", string(text) == "false": // the Bool of a condition
		*s = Strings{string(text)}
		return nil
	case len(text) > 0 && text[0] == '"':
		*s = make(Strings, 1)
		return json.Unmarshal(text, &(*s)[0])
	}
	return json.Unmarshal(text, (*[]string)(s))
}

// MarshalJSON writes a single element as a string.
func (s Strings) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]string(s))
}

// Parse parses a policy. Its error names the unsupported statements.
func Parse(text []byte) (*Document, error) {
	d := &Document{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	if len(d.Statement) == 0 {
		return nil, errors.New("the policy has no statement")
	}
	var errs []error
	for i, s := range d.Statement {
		name := fmt.Sprintf("statement %d", i+1)
		if s.Sid != "" {
			name += fmt.Sprintf(" (%s)", s.Sid)
		}
		if err := s.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return d, nil
}

func (s Statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("got Effect %q, want \"Allow\" or \"Deny\"", s.Effect)
	case len(s.Action) > 0 == (len(s.NotAction) > 0):
		return errors.New("got both or neither of Action and NotAction, want one of them")
	case len(s.Condition) > 0 && len(s.NotAction) > 0:
		return errors.New("got a Condition with NotAction, which is not supported; list the actions in Action")
	case len(s.Resource) != 1 || s.Resource[0] != "*":
		return fmt.Errorf("got Resource %q, want \"*\"; others are not supported", []string(s.Resource))
	}
	if len(s.Condition) > 0 {
		if err := s.Condition.check(s.Action); err != nil {
			return err
		}
	}
	for _, action := range append(append(Strings{}, s.Action...), s.NotAction...) {
		if _, err := path.Match(action, ""); err != nil || action != "*" && !strings.Contains(action, ":") {
			return fmt.Errorf("got Action %q, want an action such as \"ec2:RunInstances\"", action)
		}
	}
	return nil
}

// Decision is the result of evaluating a policy for an action.
type Decision int

// The decisions. IAM denies an action that no statement allows.
const (
	NotAllowed Decision = iota
	Allowed
	Denied // by a statement, which overrides any that allows it
)

// Decide evaluates the policy for an action such as "ec2:RunInstances" on resources
// with these condition keys. IAM allows a request only if it allows the action on each
// resource. Without keys, no condition on a tag is true.
func (d *Document) Decide(action string, resources ...Keys) Decision {
	if len(resources) == 0 {
		resources = []Keys{nil}
	}
	decision := Allowed
	for _, keys := range resources {
		switch d.decide(action, keys) {
		case Denied:
			return Denied
		case NotAllowed:
			decision = NotAllowed
		}
	}
	return decision
}

func (d *Document) decide(action string, keys Keys) Decision {
	decision := NotAllowed
	for _, s := range d.Statement {
		hit := s.Action.match(action)
		if len(s.NotAction) > 0 {
			hit = !s.NotAction.match(action)
		}
		hit = hit && s.Condition.holds(keys)
		switch {
		case hit && s.Effect == "Deny":
			return Denied
		case hit:
			decision = Allowed
		}
	}
	return decision
}

// match compares actions case-insensitively, as IAM does.
func (s Strings) match(action string) bool {
	for _, pattern := range s {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(action)); ok { // checked by Parse
			return true
		}
	}
	return false
}

// JSON returns the policy in the format for attaching it.
func (d Document) JSON() string {
	if d.Version == "" {
		d.Version = version
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err.Error() // strings always encode
	}
	return string(text)
}
