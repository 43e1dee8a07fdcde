// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package policy holds IAM policies: it reads them, decides by them, and writes
// the least one that a build needs. It knows neither Packer nor AWS's SDK.
//
// What is decided here is less than what IAM decides: a statement is taken only
// if it speaks of all resources without a condition
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html).
// Parse refuses the rest, rather than decide wrongly.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
)

// version is that of the policy language.
const version = "2012-10-17"

// Document is an identity policy.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement allows or denies actions. One of Action and NotAction is set.
type Statement struct {
	Sid       string          `json:",omitempty"`
	Effect    string          // "Allow" or "Deny"
	Action    Strings         `json:",omitempty"` // such as ec2:RunInstances; * and ? stand for others
	NotAction Strings         `json:",omitempty"`
	Resource  Strings         // "*"
	Condition json.RawMessage `json:",omitempty"` // always empty once parsed
}

// Strings is one text or a list of them, as IAM takes both.
type Strings []string

// UnmarshalJSON reads either form.
func (s *Strings) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*s = make(Strings, 1)
		return json.Unmarshal(text, &(*s)[0])
	}
	return json.Unmarshal(text, (*[]string)(s))
}

// MarshalJSON writes one text as a text.
func (s Strings) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]string(s))
}

// Parse reads a policy. Its error says which statement is not understood.
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
		return fmt.Errorf("the Effect is %q; expected \"Allow\" or \"Deny\"", s.Effect)
	case len(s.Action) > 0 == (len(s.NotAction) > 0):
		return errors.New("expected either Action or NotAction")
	case len(s.Condition) > 0:
		return errors.New("a Condition is not decided by here; leave it out")
	case len(s.Resource) != 1 || s.Resource[0] != "*":
		return fmt.Errorf("the Resource is %q; only \"*\" is decided by here", []string(s.Resource))
	}
	for _, action := range append(append(Strings{}, s.Action...), s.NotAction...) {
		if _, err := path.Match(action, ""); err != nil || action != "*" && !strings.Contains(action, ":") {
			return fmt.Errorf("%q is no action; expected one such as \"ec2:RunInstances\"", action)
		}
	}
	return nil
}

// Decision is what a policy says of an action.
type Decision int

// The decisions. IAM denies what no statement allows.
const (
	NotAllowed Decision = iota
	Allowed
	Denied // by a statement, whatever allows it
)

// Decide says whether the caller may do an action such as "ec2:RunInstances".
func (d *Document) Decide(action string) Decision {
	decision := NotAllowed
	for _, s := range d.Statement {
		hit := s.Action.match(action)
		if len(s.NotAction) > 0 {
			hit = !s.NotAction.match(action)
		}
		switch {
		case hit && s.Effect == "Deny":
			return Denied
		case hit:
			decision = Allowed
		}
	}
	return decision
}

// match compares as IAM does: without regard to case.
func (s Strings) match(action string) bool {
	for _, pattern := range s {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(action)); ok { // checked by Parse
			return true
		}
	}
	return false
}

// JSON is the policy as one attaches it.
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
