// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"slices"
	"strings"
)

// Sharing describes who may launch an image.
type Sharing struct {
	Owner             string // an account
	Public            bool
	Accounts          []string
	OrganizationARNs  []string
	OrganizationUnits []string // ARNs
}

// verdict states whether an account or unit may launch an image.
type verdict int

const (
	denied verdict = iota
	unknown
	allowed
)

// account returns the verdict for an account. Its membership in an organization is
// not known here.
func (s Sharing) account(id string) verdict {
	switch {
	case s.Public, id == s.Owner, slices.Contains(s.Accounts, id):
		return allowed
	case len(s.OrganizationARNs)+len(s.OrganizationUnits) > 0:
		return unknown
	}
	return denied
}

// unit returns the verdict for an organizational unit or the root. members are its
// known accounts. A unit inherits the permissions of its parents
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/share-amis-with-organizations-and-OUs.html).
func (s Sharing) unit(id string, members []string) verdict {
	switch {
	case s.Public, len(s.OrganizationARNs) > 0:
		return allowed
	case slices.ContainsFunc(s.OrganizationUnits, func(arn string) bool { return strings.HasSuffix(arn, "/"+id) }):
		return allowed
	case len(s.OrganizationUnits) > 0:
		return unknown // another unit may be a parent of this one
	}
	for _, account := range members {
		if s.account(account) == denied {
			return denied
		}
	}
	if len(s.Accounts) > 0 || len(members) > 0 {
		return unknown // other accounts may join the unit
	}
	return denied
}
