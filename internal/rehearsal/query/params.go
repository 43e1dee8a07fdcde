// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package query implements the query protocol of EC2 and STS: a request is a form with
// dotted names, and a response is XML.
package query

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Params are the parameters of a request, or of one structure in it, with the names of
// the request: Filter.1.Value.2, BlockDeviceMapping.1.Ebs.VolumeSize.
type Params map[string]string

// FromForm returns the parameters of a decoded form, with the first value of a
// repeated name.
func FromForm(form url.Values) Params {
	p := Params{}
	for name, values := range form {
		if len(values) > 0 {
			p[name] = values[0]
		}
	}
	return p
}

// Get returns a parameter, or an empty string if it is absent.
func (p Params) Get(name string) string { return p[name] }

// Or returns a parameter, or other if it is absent or empty.
func (p Params) Or(name, other string) string {
	if v := p[name]; v != "" {
		return v
	}
	return other
}

// Has reports whether the request has a parameter, a list or a structure of that name.
func (p Params) Has(name string) bool {
	if _, ok := p[name]; ok {
		return true
	}
	for k := range p {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

// Bool returns a Boolean parameter, or other if it is absent.
func (p Params) Bool(name string, other bool) bool {
	v, err := strconv.ParseBool(p[name])
	if err != nil {
		return other
	}
	return v
}

// Int returns an integer parameter, or other if it is absent.
func (p Params) Int(name string, other int) (int, error) {
	text, ok := p[name]
	if !ok || text == "" {
		return other, nil
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		return 0, &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("Invalid value '%s' for %s. Value must be an integer.", text, name)}
	}
	return v, nil
}

// Blob returns a base64-encoded parameter.
func (p Params) Blob(name string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(p[name])
	if err != nil {
		return nil, &Error{Code: "InvalidParameterValue", Message: "Invalid BASE64 encoding of " + name}
	}
	return b, nil
}

// Sub returns the structure of that name, with its own names.
func (p Params) Sub(name string) Params {
	sub := Params{}
	for k, v := range p {
		if rest, ok := strings.CutPrefix(k, name+"."); ok {
			sub[rest] = v
		}
	}
	return sub
}

// List returns a list of scalars, in order.
func (p Params) List(name string) []string {
	var out []string
	for i := 1; ; i++ {
		v, ok := p[name+"."+strconv.Itoa(i)]
		if !ok {
			return out
		}
		out = append(out, v)
	}
}

// Items returns a list of structures, in order.
func (p Params) Items(name string) []Params {
	var out []Params
	for i := 1; ; i++ {
		item := p.Sub(name + "." + strconv.Itoa(i))
		if len(item) == 0 {
			return out
		}
		out = append(out, item)
	}
}

// Over merges p over base: a parameter, list or structure of p replaces that of base
// completely.
func (p Params) Over(base Params) Params {
	top := func(k string) string { name, _, _ := strings.Cut(k, "."); return name }
	mine := map[string]bool{}
	out := Params{}
	for k, v := range p {
		mine[top(k)] = true
		out[k] = v
	}
	for k, v := range base {
		if !mine[top(k)] {
			out[k] = v
		}
	}
	return out
}

// Equal reports whether two requests are equal.
func (p Params) Equal(q Params) bool {
	if len(p) != len(q) {
		return false
	}
	for k, v := range p {
		if w, ok := q[k]; !ok || v != w {
			return false
		}
	}
	return true
}
