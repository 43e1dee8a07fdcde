// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Override gives parameters of the stack set other values in some of its stacks.
// If several overrides name a parameter of a stack, the last one applies.
type Override struct {
	Regions  []string `json:"regions,omitempty"`  // if empty, all
	Accounts []string `json:"accounts,omitempty"` // if empty, all
	Names    []string `json:"parameters"`         // sorted
	// Values may be secret, so records and plan files have only the names. It is nil
	// if the values are not known, as in a rollback.
	Values map[string]string `json:"-"`
}

// NewOverride returns an override with the names of the values.
func NewOverride(regions, accounts []string, values map[string]string) Override {
	return Override{Regions: regions, Accounts: accounts, Names: slices.Sorted(maps.Keys(values)), Values: values}
}

// appliesTo reports whether the override includes the stack of an account in a
// region.
func (o Override) appliesTo(region, account string) bool {
	return (len(o.Regions) == 0 || slices.Contains(o.Regions, region)) && (len(o.Accounts) == 0 || slices.Contains(o.Accounts, account))
}

// Selectors returns REGION/ACCOUNT/NAME for each region, account and name; * is every
// region or account.
func (o Override) Selectors() (list []string) {
	each := func(names []string) []string {
		if len(names) == 0 {
			return []string{"*"}
		}
		return names
	}
	for _, r := range each(o.Regions) {
		for _, a := range each(o.Accounts) {
			for _, name := range o.Names {
				list = append(list, r+"/"+a+"/"+name)
			}
		}
	}
	return list
}

func (o Override) String() string {
	all := func(list []string, what string) string { return listOr(list, "all "+what) }
	return fmt.Sprintf("%s, %s: %s", all(o.Regions, "regions"), all(o.Accounts, "accounts"), listOr(o.Names, "none"))
}

// overridesOf returns the configured values of the overridden parameters of a stack,
// by name; false if the values are not known.
func (c *Config) overridesOf(region, account string) (values map[string]string, known bool) {
	values, known = map[string]string{}, true
	for _, o := range c.Overrides {
		if !o.appliesTo(region, account) {
			continue
		}
		for _, name := range o.Names {
			values[name] = o.Values[name]
		}
		known = known && (o.Values != nil || len(o.Names) == 0)
	}
	return values, known
}

// Overridden returns the names of the parameters that the configuration overrides.
func (c *Config) Overridden() []string {
	if c == nil {
		return nil
	}
	var names []string
	for _, o := range c.Overrides {
		names = append(names, o.Names...)
	}
	return unique(names)
}

// checkOverrides checks that each override includes stacks of the set. The accounts
// of an organizational unit are not known.
func (c *Config) checkOverrides() error {
	for i, o := range c.Overrides {
		for _, r := range o.Regions {
			if !slices.Contains(c.Regions, r) {
				return fmt.Errorf("parameter_overrides[%d].regions: got %q, want any of regions (%s); add it to regions, or remove it here", i, r, strings.Join(c.Regions, ", "))
			}
		}
		for _, a := range o.Accounts {
			if len(c.Accounts) > 0 && !slices.Contains(c.Accounts, a) {
				return fmt.Errorf("parameter_overrides[%d].accounts: got %q, want any of accounts (%s); add it to accounts, or remove it here", i, a, strings.Join(c.Accounts, ", "))
			}
		}
	}
	return nil
}
