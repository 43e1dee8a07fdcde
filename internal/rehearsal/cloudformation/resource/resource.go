// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package resource creates the resources of CloudFormation's stacks in the other services
// of a rehearsal. Each file implements one type. Resources of other types are recorded:
// they have an id, and nothing is created.
package resource

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Request is what a type needs to create, change or delete a resource.
type Request struct {
	Client     query.Client
	Region     string
	Account    string
	StackName  string
	StackID    string
	LogicalID  string
	ID         string            // physical id, once the resource exists
	Properties map[string]any    // without functions
	Before     map[string]any    // the properties before an update
	Tags       map[string]string // of the stack
	Token      string            // makes generated names unique
	Age        time.Duration     // since the resource was created
	Consistent time.Duration     // age from which EC2 knows a resource of IAM
}

// Type is a type of resources.
type Type struct {
	// Create creates the resource and returns its physical id.
	Create func(*Request) (string, error)
	// Ready reports whether others can use a resource that was created; nil: at once.
	Ready func(*Request) (bool, error)
	// Update changes the resource; with nil, a change replaces it.
	Update func(*Request) error
	// Delete deletes the resource, and reports whether it no longer exists. It is called
	// until it does; nil deletes nothing.
	Delete func(*Request) (gone bool, err error)
	// Attribute returns the value of Fn::GetAtt; nil has none.
	Attribute func(r *Request, name string) (string, error)
	// Replaces are the properties whose change replaces the resource.
	Replaces []string
}

// Group is the type of Auto Scaling groups, for which stacks have policies.
const Group = "AWS::AutoScaling::AutoScalingGroup"

var types = map[string]Type{
	Group:                       autoScalingGroup,
	"AWS::EC2::LaunchTemplate":  launchTemplate,
	"AWS::EC2::SecurityGroup":   securityGroup,
	"AWS::IAM::Role":            role,
	"AWS::IAM::InstanceProfile": instanceProfile,
	"AWS::SSM::Parameter":       parameter,
}

// Of returns a type of that name.
func Of(name string) Type {
	if t, ok := types[name]; ok {
		return t
	}
	return recorded
}

// Replaced reports whether an update replaces the resource.
func (t Type) Replaced(r *Request) bool {
	return t.Update == nil || slices.ContainsFunc(t.Replaces, func(name string) bool { return r.changed(name) })
}

func (r *Request) changed(name string) bool {
	return !reflect.DeepEqual(r.Properties[name], r.Before[name])
}

// text returns a property as text, or other if it is absent.
func (r *Request) text(name, other string) string {
	if v, ok := r.Properties[name]; ok {
		return template.Text(v)
	}
	return other
}

// name returns the name in a property, or a generated one of at most longest characters.
func (r *Request) name(property string, longest int) string {
	sum := sha256.Sum256([]byte(r.StackID + r.LogicalID + r.Token))
	suffix := "-" + base32.StdEncoding.EncodeToString(sum[:])[:12]
	generated := r.StackName + "-" + r.LogicalID
	generated = generated[:min(len(generated), longest-len(suffix))] + suffix
	return r.text(property, generated)
}

// tags returns the tags of the resource, of its stack, and those that name the stack.
func (r *Request) tags() []any {
	own, _ := r.Properties["Tags"].([]any)
	all := slices.Clone(own)
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		all = append(all, map[string]any{"Key": key, "Value": r.Tags[key]})
	}
	return all
}

// reserved are the tags that name the stack.
func (r *Request) reserved() map[string]string {
	return map[string]string{"aws:cloudformation:stack-name": r.StackName, "aws:cloudformation:stack-id": r.StackID, "aws:cloudformation:logical-id": r.LogicalID}
}

// set writes a value into the parameters of a request: names of maps are joined by dots,
// and items of lists numbered from 1. rename changes the names; nil keeps them.
func set(p query.Params, name string, v any, rename map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, part := range v {
			if other := rename[key]; other != "" {
				key = other
			}
			set(p, name+"."+key, part, rename)
		}
	case []any:
		for i, part := range v {
			set(p, name+"."+strconv.Itoa(i+1), part, rename)
		}
	default:
		p[name] = template.Text(v)
	}
}

// missing reports whether an error says that the resource does not exist.
func missing(err error) bool {
	var e *query.Error
	return errors.As(err, &e) && (strings.Contains(e.Code, "NotFound") || e.Code == "NoSuchEntity")
}

// exists returns whether a look-up found the resource.
func exists(err error) (bool, error) {
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// deleted returns whether a deletion left nothing. A new resource may not be found yet.
func (r *Request) deleted(err error) (bool, error) {
	if missing(err) {
		return r.Age >= r.Consistent, nil
	}
	return err == nil, err
}
