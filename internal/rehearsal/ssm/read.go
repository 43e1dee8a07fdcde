// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ssm

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// described is a Parameter in a response. The fields after Version belong to
// ParameterHistory.
type described struct {
	Name, Type, Value string
	Version           int
	LastModifiedDate  float64 // seconds since 1970
	DataType          string
	ARN               string   `json:",omitempty"`
	Selector          string   `json:",omitempty"`
	Description       string   `json:",omitempty"`
	LastModifiedUser  string   `json:",omitempty"`
	Labels            []string `json:",omitempty"`
	Tier              string   `json:",omitempty"`
}

func errNotFound(name string) error {
	return query.Errorf("ParameterNotFound", "Parameter %s not found.", name)
}

func errVersion(name string) error {
	return query.Errorf("ParameterVersionNotFound", "Systems Manager could not find version of %s. Verify the version and try again.", name)
}

// find returns a parameter that has a valid version.
func (c *call) find(name string) (*parameter, error) {
	if p := c.all[name]; p != nil && p.current() != nil {
		return p, nil
	}
	return nil, errNotFound(name)
}

func (p *parameter) byNumber(text string) *version {
	n, err := strconv.Atoi(text)
	for _, v := range p.versions {
		if err == nil && v.number == n && v.validatesUntil.IsZero() {
			return v
		}
	}
	return nil
}

func (p *parameter) byLabel(label string) *version {
	for _, v := range p.versions {
		if slices.Contains(v.labels, label) {
			return v
		}
	}
	return nil
}

func (c *call) arn(name string) string {
	return "arn:aws:ssm:" + c.region + ":" + c.s.AccountID + ":parameter/" + strings.TrimPrefix(name, "/")
}

// read returns a parameter by its name or ARN, NAME:VERSION or NAME:LABEL.
func (c *call) read(name string) (described, error) {
	if rest, ok := strings.CutPrefix(name, c.arn("")); ok {
		name = rest
		if plain, _, _ := strings.Cut(rest, ":"); c.all[plain] == nil {
			name = "/" + rest
		}
	}
	plain, selector, selected := strings.Cut(name, ":")
	p, err := c.find(plain)
	if err != nil {
		return described{}, err
	}
	v := p.current()
	if selected {
		if v = p.byNumber(selector); v == nil {
			v = p.byLabel(selector)
		}
		if v == nil {
			return described{}, errVersion(plain)
		}
	}
	out := c.describe(plain, v)
	out.ARN = c.arn(plain)
	if selected {
		out.Selector = ":" + selector
	}
	return out, nil
}

func (c *call) describe(name string, v *version) described {
	value := v.Value
	if v.Type == "SecureString" && !c.p.Bool("WithDecryption", false) {
		sum := sha256.Sum256([]byte(value)) // in place of a ciphertext; nothing is encrypted
		value = base64.StdEncoding.EncodeToString(sum[:])
	}
	return described{
		Name: name, Type: v.Type, Value: value, Version: v.number, LastModifiedDate: float64(v.modified.UnixMilli()) / 1000, DataType: v.DataType,
	}
}

func (c *call) get() (any, error) {
	v, err := c.read(c.p.Get("Name"))
	if err != nil {
		return nil, err
	}
	return struct{ Parameter described }{v}, nil
}

func (c *call) getMany() (any, error) {
	out := struct {
		Parameters        []described
		InvalidParameters []string
	}{[]described{}, []string{}}
	for _, name := range c.p.List("Names") {
		if v, err := c.read(name); err == nil {
			out.Parameters = append(out.Parameters, v)
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

func (c *call) getByPath() (any, error) {
	path := c.p.Get("Path")
	if !strings.HasPrefix(path, "/") {
		return nil, query.Errorf("ValidationException", "The parameter path must begin with a forward slash (/).")
	}
	path = strings.TrimSuffix(path, "/") + "/"
	var all []described
	for _, name := range slices.Sorted(maps.Keys(c.all)) {
		rest, below := strings.CutPrefix(name, path)
		if !below || strings.Contains(rest, "/") && !c.p.Bool("Recursive", false) {
			continue
		}
		if v, err := c.read(name); err == nil {
			all = append(all, v)
		}
	}
	return c.page(all, 10)
}

func (c *call) history() (any, error) {
	p, err := c.find(c.p.Get("Name"))
	if err != nil {
		return nil, err
	}
	var all []described
	for _, v := range p.versions {
		if !v.validatesUntil.IsZero() {
			continue
		}
		d := c.describe(c.p.Get("Name"), v)
		d.Description, d.Labels, d.Tier, d.LastModifiedUser = v.Description, v.labels, "Standard", "arn:aws:iam::"+c.s.AccountID+":user/rehearsal"
		all = append(all, d)
	}
	return c.page(all, 50)
}

// page returns the requested page of a list and the token of the next page.
func (c *call) page(all []described, most int) (any, error) {
	size, err := c.p.Int("MaxResults", most)
	if err != nil || size < 1 || size > most {
		return nil, query.Errorf("ValidationException", "MaxResults must be from 1 to %d.", most)
	}
	from := 0
	if token := c.p.Get("NextToken"); token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > len(all) {
			return nil, query.Errorf("InvalidNextToken", "The specified token is not valid.")
		}
	}
	to := min(from+size, len(all))
	out := struct {
		Parameters []described
		NextToken  string `json:",omitempty"`
	}{Parameters: append([]described{}, all[from:to]...)}
	if to < len(all) {
		out.NextToken = strconv.Itoa(to)
	}
	return out, nil
}
