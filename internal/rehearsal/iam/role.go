// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type role struct {
	Path        string
	Name        string `xml:"RoleName"`
	ID          string `xml:"RoleId"`
	Arn         string
	Created     string   `xml:"CreateDate"`
	Trust       string   `xml:"AssumeRolePolicyDocument"`
	Description string   `xml:",omitempty"`
	Longest     int      `xml:"MaxSessionDuration"`
	Tags        *tagList `xml:",omitempty"`

	created  time.Time
	policies map[string]string
}

type roleBody struct{ Role *role }

func (s *Service) createRole(p query.Params) (any, error) {
	name := p.Get("RoleName")
	if err := checkName(p, "RoleName", 64); err != nil {
		return nil, err
	}
	if err := checkPolicy(p, "AssumeRolePolicyDocument"); err != nil {
		return nil, err
	}
	tags, err := tagList{}.with(p)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.roles, func(r *role) bool { return r.Name == name }) {
		return nil, failure("EntityAlreadyExists", "Role with name %s already exists.", name)
	}
	r := &role{
		Path: "/", Name: name, Arn: s.arn("role", name), Trust: strings.ReplaceAll(url.QueryEscape(p.Get("AssumeRolePolicyDocument")), "+", "%20"), // encoded as in RFC 3986
		Description: p.Get("Description"), Longest: 3600, Tags: &tags, created: s.Clock.Now(), policies: map[string]string{},
	}
	r.ID, r.Created = uniqueID("AROA", name, r.created), stamp(r.created)
	s.roles = append(s.roles, r)
	return roleBody{r}, nil
}

// role returns the role of a request.
func (s *Service) role(p query.Params) (*role, error) {
	name := p.Get("RoleName")
	for _, r := range s.roles {
		if r.Name == name && s.found(r.created) {
			return r, nil
		}
	}
	return nil, failure("NoSuchEntity", "The role with name %s cannot be found.", name)
}

func (s *Service) getRole(p query.Params) (any, error) {
	r, err := s.role(p)
	return roleBody{r}, err
}

func (s *Service) listRoles(query.Params) (any, error) {
	var body struct {
		Truncated bool                `xml:"IsTruncated"`
		Roles     query.Members[role] `xml:"Roles"`
	}
	for _, r := range s.roles {
		if s.found(r.created) {
			listed := *r
			listed.Tags = nil // list responses omit tags
			body.Roles.Items = append(body.Roles.Items, listed)
		}
	}
	return body, nil
}

func (s *Service) putRolePolicy(p query.Params) (any, error) {
	if err := checkName(p, "PolicyName", 128); err != nil {
		return nil, err
	}
	if err := checkPolicy(p, "PolicyDocument"); err != nil {
		return nil, err
	}
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	r.policies[p.Get("PolicyName")] = p.Get("PolicyDocument")
	return nil, nil
}

func (s *Service) listRolePolicies(p query.Params) (any, error) {
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	return struct {
		Truncated bool                  `xml:"IsTruncated"`
		Names     query.Members[string] `xml:"PolicyNames"`
	}{Names: query.Members[string]{Items: slices.Sorted(maps.Keys(r.policies))}}, nil
}

func (s *Service) deleteRolePolicy(p query.Params) (any, error) {
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	name := p.Get("PolicyName")
	if _, there := r.policies[name]; !there {
		return nil, failure("NoSuchEntity", "The role policy with name %s cannot be found.", name)
	}
	delete(r.policies, name)
	return nil, nil
}

func (s *Service) deleteRole(p query.Params) (any, error) {
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.profiles, func(held *instanceProfile) bool { return held.has(r) }) {
		return nil, failure("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
	}
	if len(r.policies) > 0 {
		return nil, failure("DeleteConflict", "Cannot delete entity, must delete policies first.")
	}
	s.roles = slices.DeleteFunc(s.roles, func(other *role) bool { return other == r })
	return nil, nil
}

func (s *Service) tagRole(p query.Params) (any, error) {
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	tags, err := r.Tags.with(p)
	if err == nil {
		*r.Tags = tags
	}
	return nil, err
}

func (s *Service) untagRole(p query.Params) (any, error) {
	r, err := s.role(p)
	if err == nil {
		*r.Tags = r.Tags.without(p.List("TagKeys")...)
	}
	return nil, err
}

func (s *Service) listRoleTags(p query.Params) (any, error) {
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	return tagsBody{Tags: *r.Tags}, nil
}
