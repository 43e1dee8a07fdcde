// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type instanceProfile struct {
	Path    string
	Name    string `xml:"InstanceProfileName"`
	ID      string `xml:"InstanceProfileId"`
	Arn     string
	Created string `xml:"CreateDate"`
	Roles   query.Members[*role]
	Tags    *tagList `xml:",omitempty"`

	created, added time.Time // added is the time of AddRoleToInstanceProfile
}

func (p *instanceProfile) has(r *role) bool { return slices.Contains(p.Roles.Items, r) }

type profileBody struct{ InstanceProfile *instanceProfile }

func (s *Service) newProfile(name string, created time.Time, tags tagList) *instanceProfile {
	return &instanceProfile{
		Path: "/", Name: name, ID: uniqueID("AIPA", name, created), Arn: s.arn("instance-profile", name), Created: stamp(created), Tags: &tags, created: created,
	}
}

func (s *Service) createProfile(p query.Params) (any, error) {
	name := p.Get("InstanceProfileName")
	if err := checkName(p, "InstanceProfileName", 128); err != nil {
		return nil, err
	}
	tags, err := tagList{}.with(p)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.profiles, func(made *instanceProfile) bool { return made.Name == name }) {
		return nil, failure("EntityAlreadyExists", "Instance Profile %s already exists.", name)
	}
	made := s.newProfile(name, s.Clock.Now(), tags)
	s.profiles = append(s.profiles, made)
	return profileBody{made}, nil
}

// profile returns the instance profile of that name.
func (s *Service) profile(name string) (*instanceProfile, error) {
	for _, p := range s.profiles {
		if p.Name == name && s.found(p.created) {
			return p, nil
		}
	}
	created := slices.ContainsFunc(s.profiles, func(p *instanceProfile) bool { return p.Name == name })
	if created || s.deleted[name] || strings.HasPrefix(name, Temporary) || !nameForm.MatchString(name) {
		return nil, failure("NoSuchEntity", "Instance Profile %s cannot be found.", name)
	}
	p := s.newProfile(name, time.Time{}, tagList{})
	r := &role{Path: "/", Name: name, ID: uniqueID("AROA", name, time.Time{}), Arn: s.arn("role", name), Created: p.Created, Longest: 3600}
	p.Roles.Items = []*role{r}
	return p, nil
}

// RoleForInstance returns the id of an instance profile and the name of its role, which
// is empty without a role.
func (s *Service) RoleForInstance(profileARN string) (id, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.profile(profileARN[strings.LastIndexByte(profileARN, '/')+1:])
	if err != nil || len(p.Roles.Items) == 0 {
		return "", ""
	}
	return p.ID, p.Roles.Items[0].Name
}

// created returns the instance profile of a request that changes it.
func (s *Service) created(p query.Params) (*instanceProfile, error) {
	found, err := s.profile(p.Get("InstanceProfileName"))
	if err == nil && !slices.Contains(s.profiles, found) {
		s.profiles = append(s.profiles, found) // a profile that always existed
	}
	return found, err
}

func (s *Service) getProfile(p query.Params) (any, error) {
	found, err := s.profile(p.Get("InstanceProfileName"))
	return profileBody{found}, err
}

func (s *Service) listProfiles(query.Params) (any, error) {
	var body struct {
		Truncated bool                           `xml:"IsTruncated"`
		Profiles  query.Members[instanceProfile] `xml:"InstanceProfiles"`
	}
	for _, p := range s.profiles {
		if s.found(p.created) {
			listed := *p
			listed.Tags = nil // list responses omit tags
			body.Profiles.Items = append(body.Profiles.Items, listed)
		}
	}
	return body, nil
}

func (s *Service) addRole(p query.Params) (any, error) {
	profile, err := s.created(p)
	if err != nil {
		return nil, err
	}
	r, err := s.role(p)
	if err != nil {
		return nil, err
	}
	if len(profile.Roles.Items) > 0 {
		return nil, failure("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	}
	profile.Roles.Items, profile.added = []*role{r}, s.Clock.Now()
	return nil, nil
}

func (s *Service) removeRole(p query.Params) (any, error) {
	profile, err := s.created(p)
	if err != nil {
		return nil, err
	}
	name := p.Get("RoleName")
	rest := slices.DeleteFunc(slices.Clone(profile.Roles.Items), func(r *role) bool { return r.Name == name })
	if len(rest) == len(profile.Roles.Items) {
		return nil, failure("NoSuchEntity", "Role %s in Instance Profile %s cannot be found.", name, profile.Name)
	}
	profile.Roles.Items = rest
	return nil, nil
}

func (s *Service) deleteProfile(p query.Params) (any, error) {
	profile, err := s.created(p)
	if err != nil {
		return nil, err
	}
	if len(profile.Roles.Items) > 0 {
		return nil, failure("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
	}
	s.profiles = slices.DeleteFunc(s.profiles, func(other *instanceProfile) bool { return other == profile })
	if s.deleted == nil {
		s.deleted = map[string]bool{}
	}
	s.deleted[profile.Name] = true
	return nil, nil
}

func (s *Service) tagProfile(p query.Params) (any, error) {
	profile, err := s.created(p)
	if err != nil {
		return nil, err
	}
	tags, err := profile.Tags.with(p)
	if err == nil {
		*profile.Tags = tags
	}
	return nil, err
}

func (s *Service) untagProfile(p query.Params) (any, error) {
	profile, err := s.created(p)
	if err == nil {
		*profile.Tags = profile.Tags.without(p.List("TagKeys")...)
	}
	return nil, err
}

func (s *Service) listProfileTags(p query.Params) (any, error) {
	profile, err := s.profile(p.Get("InstanceProfileName"))
	if err != nil {
		return nil, err
	}
	return tagsBody{Tags: *profile.Tags}, nil
}
