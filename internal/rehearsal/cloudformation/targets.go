// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// target is an account, and the organizational unit that selected it, if any.
type target struct{ id, unit string }

// accountsPerUnit is the number of accounts of each organizational unit.
const accountsPerUnit = 2

// UnitAccounts returns the accounts of an organizational unit. Every unit exists.
func UnitAccounts(unit string) []string {
	var list []string
	for n := range accountsPerUnit {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", unit, n))
		list = append(list, fmt.Sprintf("%012d", binary.BigEndian.Uint64(sum[:])%1_000_000_000_000))
	}
	slices.Sort(list)
	return list
}

// targets returns the requested accounts, or none if the request names none. It also
// validates the regions.
func (c *call) targets(set *stackSet) ([]target, error) {
	for _, region := range c.p.List("Regions") {
		if !slices.Contains(c.s.cfg.Regions, region) {
			return nil, invalid("Region %s is not a valid region of the partition aws", region)
		}
	}
	accounts, d := c.p.List("Accounts"), c.p.Sub("DeploymentTargets")
	units, filter := d.List("OrganizationalUnitIds"), d.Or("AccountFilterType", "NONE")
	switch {
	case len(accounts) > 0 && len(d) > 0:
		return nil, invalid("Accounts and DeploymentTargets cannot both be specified")
	case set.model == serviceManaged && len(accounts) > 0:
		return nil, invalid("StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")
	case set.model == selfManaged && len(units) > 0:
		return nil, invalid("StackSets with SELF_MANAGED permission model can only have Accounts as target")
	case set.model == serviceManaged && len(d) > 0 && len(units) == 0:
		return nil, invalid("OrganizationalUnitIds must be specified for StackSets with SERVICE_MANAGED permission model")
	}
	accounts = append(accounts, d.List("Accounts")...)
	for _, id := range accounts {
		if len(id) != 12 || !digits(id) {
			return nil, invalid("1 validation error detected: Value '%s' at 'accounts' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9]{12}$", id)
		}
	}
	var list []target
	for _, unit := range units {
		for _, id := range c.s.unitAccounts(unit) {
			if in := slices.Contains(accounts, id); filter == "INTERSECTION" && !in || filter == "DIFFERENCE" && in {
				continue
			}
			list = append(list, target{id, unit})
		}
	}
	if len(units) == 0 || filter == "UNION" {
		for _, id := range accounts {
			list = append(list, target{id: id})
		}
	}
	return list, nil
}

func digits(text string) bool {
	for _, b := range []byte(text) {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// existing returns the instances that an update changes: all if it names neither
// accounts nor regions. Each account must have an instance in each region
// (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1978).
func (c *call) existing(set *stackSet) ([]*instance, error) {
	accounts, err := c.targets(set)
	if err != nil {
		return nil, err
	}
	regions := c.p.List("Regions")
	switch {
	case len(accounts) == 0 && len(regions) == 0:
		return slices.Clone(set.instances), nil
	case len(accounts) == 0 || len(regions) == 0:
		return nil, invalid("Accounts, or DeploymentTargets, and Regions must be specified together")
	}
	var list []*instance
	for _, region := range regions {
		for _, a := range accounts {
			i := set.instance(a.id, region)
			if i == nil {
				return nil, set.noInstance(a.id, region)
			}
			list = append(list, i)
		}
	}
	return list, nil
}
