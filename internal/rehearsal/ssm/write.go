// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ssm

import (
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// imageType is the data type of an image parameter
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html).
const imageType = "aws:ec2:image"

// Limits of a parameter
// (https://docs.aws.amazon.com/general/latest/gr/ssm.html).
const (
	maxValue    = 4096 // bytes, in the standard tier
	maxVersions = 100
	maxLabels   = 10
)

type parameter struct {
	versions []*version // oldest first, including those in validation
	tags     map[string]string
}

type version struct {
	Type, Value, DataType, Description, AllowedPattern string

	number         int
	modified       time.Time
	labels         []string
	validatesUntil time.Time // end of the image validation; zero afterwards
}

// current returns the newest valid version, or nil.
func (p *parameter) current() *version {
	for i := len(p.versions) - 1; i >= 0; i-- {
		if p.versions[i].validatesUntil.IsZero() {
			return p.versions[i]
		}
	}
	return nil
}

var (
	nameRule  = lazyregexp.New(`^[a-zA-Z0-9_.-]+$|^(/[a-zA-Z0-9_.-]+){1,15}$`)
	imageRule = lazyregexp.New(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

func (c *call) put() (any, error) {
	name, v := c.p.Get("Name"), &version{
		Type: c.p.Get("Type"), Value: c.p.Get("Value"), DataType: c.p.Or("DataType", "text"), Description: c.p.Get("Description"), modified: c.now, number: 1,
	}
	p := c.all[name]
	overwrite := c.p.Bool("Overwrite", false)
	top := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case !nameRule.MatchString(name):
		return nil, query.Errorf("ValidationException", "Parameter name must be a fully qualified name: only a mix of letters, numbers and the symbols .-_/ is allowed, and a hierarchy begins with a forward slash (/).")
	case strings.HasPrefix(top, "aws") || strings.HasPrefix(top, "ssm"):
		return nil, query.Errorf("ValidationException", "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	case v.Value == "":
		return nil, query.Errorf("ValidationException", "1 validation error detected: Value at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case len(v.Value) > maxValue:
		return nil, query.Errorf("ValidationException", "Standard tier parameters support a maximum parameter value of %d characters.", maxValue)
	case p != nil && !overwrite:
		return nil, query.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case overwrite && c.p.Has("Tags"):
		return nil, query.Errorf("ValidationException", "Invalid request: tags and overwrite can't be used together.")
	}
	if p != nil {
		last := p.versions[len(p.versions)-1]
		if v.number = last.number + 1; v.Type == "" {
			v.Type = last.Type
		}
		if c.p.Get("DataType") == "" {
			v.DataType = last.DataType
		}
		if v.DataType != last.DataType {
			return nil, query.Errorf("ValidationException", "The data type of a parameter can't be changed: it is %s.", last.DataType)
		}
	}
	switch {
	case v.Type != "String" && v.Type != "StringList" && v.Type != "SecureString":
		return nil, query.Errorf("ValidationException", "A parameter type is required when you create a parameter.")
	case v.DataType != "text" && v.DataType != imageType, v.DataType == imageType && v.Type != "String":
		return nil, query.Errorf("ValidationException", "The data type %s is not supported for a parameter of type %s.", v.DataType, v.Type)
	case v.DataType == imageType && !imageRule.MatchString(v.Value):
		return nil, query.Errorf("ValidationException", "The value %s is not the id of an image.", v.Value)
	}
	if v.DataType == imageType {
		v.validatesUntil = c.now.Add(c.s.ImageValidation)
	}
	if p == nil {
		p = &parameter{tags: map[string]string{}}
		c.all[name] = p
		for _, t := range c.p.Items("Tags") {
			p.tags[t.Get("Key")] = t.Get("Value")
		}
	}
	p.versions = append(p.versions, v)
	if len(p.versions) > maxVersions {
		if len(p.versions[0].labels) > 0 {
			p.versions = p.versions[:maxVersions]
			return nil, query.Errorf("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s, but the oldest version can't be deleted because it has a label.", name)
		}
		p.versions = p.versions[1:]
	}
	return struct {
		Version int
		Tier    string
	}{v.number, "Standard"}, nil
}

// label moves labels to a version.
func (c *call) label() (any, error) {
	p, err := c.find(c.p.Get("Name"))
	if err != nil {
		return nil, err
	}
	v := p.current()
	if c.p.Has("ParameterVersion") {
		if v = p.byNumber(c.p.Get("ParameterVersion")); v == nil {
			return nil, errVersion(c.p.Get("Name"))
		}
	}
	out := struct {
		InvalidLabels    []string
		ParameterVersion int
	}{[]string{}, v.number}
	var good []string
	for _, l := range c.p.List("Labels") {
		if !labelRule.MatchString(l) || strings.HasPrefix(strings.ToLower(l), "aws") || strings.HasPrefix(strings.ToLower(l), "ssm") {
			out.InvalidLabels = append(out.InvalidLabels, l)
		} else {
			good = append(good, l)
		}
	}
	merged := append([]string{}, v.labels...)
	for _, l := range good {
		merged = append(without(merged, l), l)
	}
	if len(merged) > maxLabels {
		return nil, query.Errorf("ParameterVersionLabelLimitExceeded", "A parameter version can have a maximum of %d labels.", maxLabels)
	}
	for _, l := range good {
		for _, other := range p.versions {
			other.labels = without(other.labels, l)
		}
	}
	v.labels = merged
	return out, nil
}

// labelRule: 1 to 100 letters, digits, dots, dashes, underscores, no digit first.
var labelRule = lazyregexp.New(`^[a-zA-Z_.-][a-zA-Z0-9_.-]{0,99}$`)

func without(list []string, s string) []string {
	var out []string
	for _, have := range list {
		if have != s {
			out = append(out, have)
		}
	}
	return out
}

func (c *call) remove() (any, error) {
	if _, err := c.find(c.p.Get("Name")); err != nil {
		return nil, err
	}
	delete(c.all, c.p.Get("Name"))
	return nil, nil
}

func (c *call) removeMany() (any, error) {
	out := struct{ DeletedParameters, InvalidParameters []string }{[]string{}, []string{}}
	for _, name := range c.p.List("Names") {
		if _, err := c.find(name); err != nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		delete(c.all, name)
		out.DeletedParameters = append(out.DeletedParameters, name)
	}
	return out, nil
}
