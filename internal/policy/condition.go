// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Condition restricts a statement: by operator, by condition key, the values of which
// one must match
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html).
type Condition map[string]map[string]Strings

// Keys are the condition keys of a request for one resource, such as
// "aws:ResourceTag/Name". IAM compares their names case-insensitively.
type Keys map[string]string

// The condition keys that are supported; the first three end with a tag's key.
const (
	ResourceTag    = "aws:ResourceTag/"
	EC2ResourceTag = "ec2:ResourceTag/"
	RequestTag     = "aws:RequestTag/"
	CreateAction   = "ec2:CreateAction"

	GranteePrincipal = "kms:GranteePrincipal"
)

// Conditional are the actions that a statement with a condition may have: EC2 checks
// the tags of their resources, and the rehearsal knows these
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html);
// KMS checks who gets a grant.
var Conditional = []string{
	"ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteKeyPair", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup", "ec2:DeleteSnapshot", "ec2:DeleteTags",
	"ec2:DeleteVolume", "ec2:DeregisterImage", "ec2:DisableImage", "ec2:DisableImageDeregistrationProtection", "ec2:EnableImageDeprecation",
	"ec2:EnableImageDeregistrationProtection", "ec2:ModifyImageAttribute", "ec2:ModifyInstanceAttribute", "ec2:ModifySnapshotAttribute",
	"ec2:RebootInstances", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances", "kms:CreateGrant",
}

const ifExists = "IfExists"

// operators compare a value with one of a condition's values.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals":    func(pattern, value string) bool { return pattern == value },
	"StringNotEquals": func(pattern, value string) bool { return pattern == value },
	"StringLike":      like,
	"StringNotLike":   like,
}

// check refuses conditions that the rehearsal cannot evaluate.
func (c Condition) check(actions Strings) error {
	for _, action := range actions {
		if !slices.ContainsFunc(Conditional, func(known string) bool { return strings.EqualFold(known, action) }) {
			return fmt.Errorf("got a Condition for %s, want one for only these actions: %s; others are not supported", action, strings.Join(Conditional, ", "))
		}
	}
	for _, operator := range slices.Sorted(maps.Keys(c)) {
		if name := strings.TrimSuffix(operator, ifExists); operators[name] == nil && operator != "Null" {
			return fmt.Errorf("got the operator %q in Condition, want %s or Null, as others are not supported", operator, strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
		}
		for _, key := range slices.Sorted(maps.Keys(c[operator])) {
			if !slices.ContainsFunc([]string{ResourceTag, EC2ResourceTag, RequestTag}, func(prefix string) bool {
				return len(key) > len(prefix) && strings.EqualFold(key[:len(prefix)], prefix)
			}) && !strings.EqualFold(key, CreateAction) && !strings.EqualFold(key, GranteePrincipal) {
				return fmt.Errorf("got the key %q in Condition, want %sKEY, %sKEY, %s or %s, as others are not supported", key, ResourceTag, RequestTag, CreateAction, GranteePrincipal)
			}
			if values := c[operator][key]; operator == "Null" && (len(values) != 1 || values[0] != "true" && values[0] != "false") {
				return fmt.Errorf("got %q for Null in Condition, want \"true\" or \"false\"", []string(values))
			}
		}
	}
	return nil
}

// holds reports whether all parts of the condition are true for a resource.
func (c Condition) holds(keys Keys) bool {
	for operator, wanted := range c {
		for key, values := range wanted {
			value, known := keys.get(key)
			if !compare(operator, values, value, known) {
				return false
			}
		}
	}
	return true
}

func compare(operator string, values Strings, value string, known bool) bool {
	if operator == "Null" {
		return known == (values[0] == "false")
	}
	name, optional := strings.CutSuffix(operator, ifExists)
	negated := strings.Contains(name, "Not")
	if !known {
		return optional || negated
	}
	return slices.ContainsFunc(values, func(pattern string) bool { return operators[name](pattern, value) }) != negated
}

func (k Keys) get(name string) (string, bool) {
	for key, value := range k {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// like matches the wildcards * and ?.
func like(pattern, text string) bool {
	for i, r := range pattern {
		switch {
		case r == '*':
			for j := 0; j <= len(text); j++ {
				if like(pattern[i+1:], text[j:]) {
					return true
				}
			}
			return false
		case text == "", r != '?' && !strings.HasPrefix(text, string(r)):
			return false
		case r == '?':
			_, text, _ = cutRune(text)
		default:
			text = text[len(string(r)):]
		}
	}
	return text == ""
}

// cutRune returns the first character of a text and the rest.
func cutRune(text string) (first, rest string, ok bool) {
	for i := range text {
		if i > 0 {
			return text[:i], text[i:], true
		}
	}
	return text, "", text != ""
}
