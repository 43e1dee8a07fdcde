// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/stack"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type stackID struct {
	ID string `xml:"StackId"`
}

// input parses the request to create or update a stack. t and before are the template
// and the parameters that an update can keep.
func (c *call) input(t *template.Template, before map[string]string) (stack.Input, error) {
	in := stack.Input{Name: c.p.Get("StackName"), Capabilities: c.p.List("Capabilities"), OnFailure: c.p.Get("OnFailure"), Token: c.p.Get("ClientRequestToken")}
	if c.p.Bool("DisableRollback", false) {
		in.OnFailure = "DO_NOTHING"
	}
	given, err := c.template()
	if err != nil {
		return in, err
	}
	again := c.p.Bool("UsePreviousTemplate", false)
	switch {
	case given != nil && again:
		return in, invalid("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
	case again:
		given = t
	case given == nil:
		return in, invalid("Either Template URL or Template Body must be specified.")
	}
	in.Template = given
	values, err := requestParameters(c.p.Items("Parameters"), before)
	if err != nil {
		return in, err
	}
	if in.Parameters, err = given.Values(values); err != nil {
		return in, err
	}
	if err := given.Allowed(in.Capabilities); err != nil {
		return in, err
	}
	in.Tags = map[string]string{}
	for _, t := range c.p.Items("Tags") {
		if strings.HasPrefix(t.Get("Key"), "aws:") {
			return in, invalid("aws: prefixed tag key names are not allowed for external use.")
		}
		in.Tags[t.Get("Key")] = t.Get("Value")
	}
	return in, nil
}

func createStack(c *call) (any, error) {
	if err := c.required("StackName"); err != nil {
		return nil, err
	}
	name := c.p.Get("StackName")
	if !validName(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	in, err := c.input(nil, nil)
	if err != nil {
		return nil, err
	}
	id, err := c.s.stacks.Create(c.regionName, in)
	return stackID{id}, err
}

// validName reports whether the name of a stack or stack set is valid.
func validName(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return strings.Trim(name, letters+"0123456789-") == "" && strings.IndexAny(name, letters) == 0 && len(name) <= 128
}

func updateStack(c *call) (any, error) {
	if err := c.required("StackName"); err != nil {
		return nil, err
	}
	name := c.p.Get("StackName")
	t, parameters, err := c.s.stacks.Template(c.regionName, name)
	if err != nil {
		return nil, invalid("Stack [%s] does not exist", name)
	}
	in, err := c.input(t, parameters)
	if err != nil {
		return nil, err
	}
	id, err := c.s.stacks.Update(c.regionName, name, in)
	return stackID{id}, err
}

func deleteStack(c *call) (any, error) {
	if err := c.required("StackName"); err != nil {
		return nil, err
	}
	return nil, c.s.stacks.Delete(c.regionName, c.p.Get("StackName"), c.now)
}

func describeStacks(c *call) (any, error) {
	return c.s.stacks.Describe(c.regionName, c.p.Get("StackName"))
}

func describeStackEvents(c *call) (any, error) {
	if err := c.required("StackName"); err != nil {
		return nil, err
	}
	all, err := c.s.stacks.Events(c.regionName, c.p.Get("StackName"))
	if err != nil {
		return nil, err
	}
	part, next, err := page(c, all)
	return struct {
		Events query.Members[any] `xml:"StackEvents"`
		Next   string             `xml:"NextToken,omitempty"`
	}{part, next}, err
}

func describeStackResources(c *call) (any, error) { return c.s.stacks.Resources(c.regionName, c.p) }

func describeStackResource(c *call) (any, error) {
	if err := c.required("StackName", "LogicalResourceId"); err != nil {
		return nil, err
	}
	return c.s.stacks.Resource(c.regionName, c.p)
}

func listStackResources(c *call) (any, error) {
	if err := c.required("StackName"); err != nil {
		return nil, err
	}
	all, err := c.s.stacks.ResourceSummaries(c.regionName, c.p.Get("StackName"))
	if err != nil {
		return nil, err
	}
	part, next, err := page(c, all)
	return struct {
		Summaries query.Members[any] `xml:"StackResourceSummaries"`
		Next      string             `xml:"NextToken,omitempty"`
	}{part, next}, err
}

func listStacks(c *call) (any, error) {
	part, next, err := page(c, c.s.stacks.Summaries(c.regionName, c.p.List("StackStatusFilter")))
	return struct {
		Summaries query.Members[any] `xml:"StackSummaries"`
		Next      string             `xml:"NextToken,omitempty"`
	}{part, next}, err
}

func getTemplate(c *call) (any, error) {
	t, _, err := c.s.stacks.Template(c.regionName, c.p.Get("StackName"))
	if err != nil {
		return nil, err
	}
	return struct {
		Body string `xml:"TemplateBody"`
	}{returned(t.Body)}, nil
}

func signalResource(c *call) (any, error) {
	if err := c.required("StackName", "LogicalResourceId", "UniqueId", "Status"); err != nil {
		return nil, err
	}
	return nil, c.s.stacks.Signal(c.regionName, c.p)
}
