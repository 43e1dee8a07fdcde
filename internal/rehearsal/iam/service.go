// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service contains an account's roles and instance profiles. As in AWS, it is global
// and eventually consistent.
//
// An instance profile with any valid name exists until it is deleted, so that every
// iam_instance_profile works. Names that begin with Temporary must be created.
type Service struct {
	Clock     pace.Clock
	AccountID string
	// Delay is the time during which IAM does not find a new resource. EC2 finds it
	// after twice that time.
	Delay time.Duration

	mu       sync.Mutex
	roles    []*role
	profiles []*instanceProfile
	deleted  map[string]bool // profile names
}

// Temporary is the prefix of the names of profiles that a build creates.
const Temporary = "packer-"

// Call serves one action. The body is a struct with xml tags; the error is
// always a *query.Error.
func (s *Service) Call(action string, p query.Params) (any, error) {
	serve := map[string]func(query.Params) (any, error){
		"CreateRole": s.createRole, "GetRole": s.getRole, "ListRoles": s.listRoles, "DeleteRole": s.deleteRole,
		"PutRolePolicy": s.putRolePolicy, "ListRolePolicies": s.listRolePolicies, "DeleteRolePolicy": s.deleteRolePolicy,
		"TagRole": s.tagRole, "UntagRole": s.untagRole, "ListRoleTags": s.listRoleTags,
		"CreateInstanceProfile": s.createProfile, "GetInstanceProfile": s.getProfile, "ListInstanceProfiles": s.listProfiles,
		"AddRoleToInstanceProfile": s.addRole, "RemoveRoleFromInstanceProfile": s.removeRole, "DeleteInstanceProfile": s.deleteProfile,
		"TagInstanceProfile": s.tagProfile, "UntagInstanceProfile": s.untagProfile, "ListInstanceProfileTags": s.listProfileTags,
	}[action]
	if serve == nil {
		return nil, query.Errorf("InvalidAction", "Could not find operation %s for version 2010-05-08", action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := serve(p)
	if err != nil {
		return nil, err
	}
	return query.Encode(body) // while the lock is held
}

// found reports whether IAM finds a resource by now.
func (s *Service) found(created time.Time) bool { return !s.Clock.Now().Before(created.Add(s.Delay)) }

func (s *Service) arn(kind, name string) string {
	return "arn:aws:iam::" + s.AccountID + ":" + kind + "/" + name
}

// Resource is a created role or instance profile.
type Resource struct {
	Kind, Name string
	Tags       map[string]string
}

// Resources returns the existing roles and instance profiles that were created.
func (s *Service) Resources() (all []Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.profiles {
		all = append(all, Resource{"instance-profile", p.Name, p.Tags.asMap()})
	}
	for _, r := range s.roles {
		all = append(all, Resource{"role", r.Name, r.Tags.asMap()})
	}
	return all
}

// ProfileForLaunch returns the ARN and the id of a profile for EC2, which finds the
// profile and its role later than IAM does.
func (s *Service) ProfileForLaunch(name string) (arn, id string, err *query.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, missing := s.profile(name)
	tooNew := func(since time.Time) bool { return s.Clock.Now().Before(since.Add(2 * s.Delay)) }
	switch {
	case missing != nil || tooNew(p.created):
		return "", "", query.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
	case len(p.Roles.Items) == 0 || tooNew(p.added):
		return "", "", query.Errorf("InvalidParameterValue", "IAM Instance Profile %q has no associated IAM Roles", p.Arn)
	}
	return p.Arn, p.ID, nil
}

// failure returns an error with IAM's status for its code.
func failure(code, format string, args ...any) *query.Error {
	e := query.Errorf(code, format, args...)
	switch code {
	case "NoSuchEntity":
		e.Status = http.StatusNotFound
	case "EntityAlreadyExists", "DeleteConflict", "LimitExceeded":
		e.Status = http.StatusConflict
	}
	return e
}

// uniqueID generates an id of 21 characters, as IAM's ids.
func uniqueID(prefix, name string, created time.Time) string {
	sum := sha256.Sum256([]byte(name + created.String()))
	return prefix + strings.ToUpper(hex.EncodeToString(sum[:]))[:17]
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

var nameForm = lazyregexp.New(`^[\w+=,.@-]+$`)

// checkName returns an error for an invalid name parameter.
func checkName(p query.Params, parameter string, longest int) error {
	name := p.Get(parameter)
	if len(name) > longest || !nameForm.MatchString(name) {
		return failure("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", strings.ToLower(parameter[:1])+parameter[1:])
	}
	return nil
}

// checkPolicy returns an error for an invalid policy parameter.
func checkPolicy(p query.Params, parameter string) error {
	var document struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(p.Get(parameter)), &document); err != nil {
		return failure("MalformedPolicyDocument", "Syntax errors in policy.")
	}
	if len(document.Statement) == 0 {
		return failure("MalformedPolicyDocument", "Missing required field Statement")
	}
	return nil
}

type tag struct{ Key, Value string }

type tagList query.Members[tag]

// tagForm matches the characters that IAM allows in tags.
var tagForm = lazyregexp.New(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// with returns the list with the tags of a request added.
func (l tagList) with(p query.Params) (tagList, error) {
	for _, item := range p.Items("Tags") {
		t := tag{item.Get("Key"), item.Get("Value")}
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || !tagForm.MatchString(t.Key) || !tagForm.MatchString(t.Value) {
			return l, failure("ValidationError", "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*")
		}
		l = l.without(t.Key)
		l.Items = append(l.Items, t)
	}
	if len(l.Items) > 50 {
		return l, failure("LimitExceeded", "The number of tags has reached the maximum limit.")
	}
	return l, nil
}

// without returns the list without the tags of these keys.
func (l tagList) without(keys ...string) (rest tagList) {
	for _, t := range l.Items {
		kept := true
		for _, key := range keys {
			kept = kept && t.Key != key
		}
		if kept {
			rest.Items = append(rest.Items, t)
		}
	}
	return rest
}

func (l tagList) asMap() map[string]string {
	m := map[string]string{}
	for _, t := range l.Items {
		m[t.Key] = t.Value
	}
	return m
}

type tagsBody struct {
	Truncated bool    `xml:"IsTruncated"`
	Tags      tagList `xml:"Tags"`
}
