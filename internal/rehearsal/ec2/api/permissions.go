// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package api

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Permission names one user of an image or a snapshot besides its owner. Exactly one
// field is set.
type Permission struct {
	Group string `xml:"group,omitempty"`
	User  string `xml:"userId,omitempty"`
	Org   string `xml:"organizationArn,omitempty"`
	Unit  string `xml:"organizationalUnitArn,omitempty"`
}

// Permissions are the users of an image or a snapshot besides its owner.
type Permissions []Permission

// Formats of the names in permissions.
var (
	account      = lazyregexp.New(`^[0-9]{12}$`)
	organization = lazyregexp.New(`^arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$`)
	unit         = lazyregexp.New(`^arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$`)
)

// Malformed returns the kind and the value of the first invalid item.
func (l Permissions) Malformed() (kind, value string, ok bool) {
	for _, p := range l {
		switch {
		case p.Group != "":
			kind, value, ok = "group", p.Group, p.Group != "all"
		case p.Org != "":
			kind, value, ok = "organizationArn", p.Org, !organization.MatchString(p.Org)
		case p.Unit != "":
			kind, value, ok = "organizationalUnitArn", p.Unit, !unit.MatchString(p.Unit)
		default:
			kind, value, ok = "userId", p.User, !account.MatchString(p.User)
		}
		if ok {
			return kind, value, true
		}
	}
	return "", "", false
}

// Change applies both forms of the request: a structure (name.Add, name.Remove), or
// OperationType with UserId and UserGroup.
func (l *Permissions) Change(p query.Params, name string) {
	read := func(items []query.Params) (out []Permission) {
		for _, item := range items {
			out = append(out, Permission{item.Get("Group"), item.Get("UserId"), item.Get("OrganizationArn"), item.Get("OrganizationalUnitArn")})
		}
		return out
	}
	add, remove := read(p.Items(name+".Add")), read(p.Items(name+".Remove"))
	var flat []Permission
	for key, make := range map[string]func(string) Permission{
		"UserGroup":             func(v string) Permission { return Permission{Group: v} },
		"UserId":                func(v string) Permission { return Permission{User: v} },
		"OrganizationArn":       func(v string) Permission { return Permission{Org: v} },
		"OrganizationalUnitArn": func(v string) Permission { return Permission{Unit: v} },
	} {
		for _, v := range p.List(key) {
			flat = append(flat, make(v))
		}
	}
	if p.Get("OperationType") == "remove" {
		remove = append(remove, flat...)
	} else {
		add = append(add, flat...)
	}
	var kept Permissions
	for _, have := range append(*l, add...) {
		removed := false
		for _, r := range remove {
			removed = removed || r == have
		}
		for _, k := range kept {
			removed = removed || k == have
		}
		if !removed {
			kept = append(kept, have)
		}
	}
	*l = kept
}

// Public reports whether everybody is a user.
func (l Permissions) Public() bool {
	for _, p := range l {
		if p.Group == "all" {
			return true
		}
	}
	return false
}
