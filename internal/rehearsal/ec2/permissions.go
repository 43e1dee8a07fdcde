// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// permission says who besides its owner may use an image or a snapshot: one
// of the fields is set.
type permission struct {
	Group string `xml:"group,omitempty"`
	User  string `xml:"userId,omitempty"`
	Org   string `xml:"organizationArn,omitempty"`
	Unit  string `xml:"organizationalUnitArn,omitempty"`
}

type permissions []permission

// change applies the two spellings of the request: a structure (name.Add,
// name.Remove), or OperationType with UserId and UserGroup.
func (l *permissions) change(p query.Params, name string) {
	read := func(items []query.Params) (out []permission) {
		for _, item := range items {
			out = append(out, permission{item.Get("Group"), item.Get("UserId"), item.Get("OrganizationArn"), item.Get("OrganizationalUnitArn")})
		}
		return out
	}
	add, remove := read(p.Items(name+".Add")), read(p.Items(name+".Remove"))
	var flat []permission
	for key, make := range map[string]func(string) permission{
		"UserGroup":             func(v string) permission { return permission{Group: v} },
		"UserId":                func(v string) permission { return permission{User: v} },
		"OrganizationArn":       func(v string) permission { return permission{Org: v} },
		"OrganizationalUnitArn": func(v string) permission { return permission{Unit: v} },
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
	var kept permissions
	for _, have := range append(*l, add...) {
		gone := false
		for _, r := range remove {
			gone = gone || r == have
		}
		for _, k := range kept {
			gone = gone || k == have
		}
		if !gone {
			kept = append(kept, have)
		}
	}
	*l = kept
}

func (l permissions) public() bool {
	for _, p := range l {
		if p.Group == "all" {
			return true
		}
	}
	return false
}

// shareable refuses what is encrypted with the account's own default key.
func shareable(key string) error {
	if strings.HasSuffix(key, "alias/aws/ebs") {
		return query.Errorf("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.")
	}
	return nil
}
