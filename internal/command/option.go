// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// choice is an option with a fixed set of values.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }

func (c *choice) Set(value string) error {
	if !slices.Contains(c.allowed, value) {
		last := len(c.allowed) - 1
		return fmt.Errorf("want %s or %s", strings.Join(c.allowed[:last], ", "), c.allowed[last])
	}
	c.value = value
	return nil
}

// format is the format of the results: text, or JSON if true.
type format bool

// declare declares -o. -json is short for -o json.
func (o *format) declare(f *flag.FlagSet) {
	f.Var(o, "o", "the `format` of the results: text (default) or json")
	f.BoolVar((*bool)(o), "json", false, "")
}

func (o *format) String() string {
	if *o {
		return "json"
	}
	return "text"
}

func (o *format) Set(value string) error {
	c := choice{allowed: o.values()}
	err := c.Set(value)
	*o = c.value == "json"
	return err
}

func (*format) values() []string { return []string{"text", "json"} }

func (c *choice) values() []string { return c.allowed }

// values returns the values of an option with a fixed set of values.
func values(o *flag.Flag) []string {
	if fixed, ok := o.Value.(interface{ values() []string }); ok {
		return fixed.values()
	}
	return nil
}

// repeated is an option that can be given several times.
type repeated []string

func (r *repeated) String() string { return strings.Join(*r, ", ") }

func (r *repeated) Set(value string) error {
	*r = append(*r, value)
	return nil
}
