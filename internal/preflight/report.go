// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Finding is something that would make the build fail.
type Finding struct {
	// Attribute is the configuration's, Value what it is, with what is wrong
	// about it; Expected and Remedy are what was expected instead, and what to
	// do. All are for people.
	Attribute, Value, Expected, Remedy string
	// Warning says that the build can do without, or has another way.
	Warning bool

	hits  func(launch.Rung) bool // the ways to launch that it rules out; nil is the whole build
	stops bool                   // EC2 does not refuse these, but ends the ladder there
	zonal bool                   // it is about places
	quiet bool                   // not worth a warning
}

func (f Finding) String() string {
	text := strings.TrimSuffix(f.Value, ".")
	if f.Attribute != "" {
		text = f.Attribute + ": " + text
	}
	if f.Expected != "" {
		text += "; expected " + f.Expected
	}
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return text
}

// Gap is what could not be found out.
type Gap struct {
	What string
	// Action is the IAM action that is not allowed, empty where the question
	// got no answer for another reason.
	Action string
	Why    string

	echo bool // of credentials that AWS does not take
}

// Report is what all checks have found.
type Report struct {
	Checks   []string // those that were made
	Account  string   // whose the credentials are, empty where nobody said
	Findings []Finding
	Gaps     []Gap
}

// Err is everything that would make the build fail, nil where that is nothing.
func (r Report) Err() error {
	var found []error
	for _, f := range r.Findings {
		if !f.Warning {
			found = append(found, errors.New(f.String()))
		}
	}
	return errors.Join(found...)
}

// Warnings are lines for a user: what is no reason to stop, and what is not
// known, with the policy statement that would make it known.
func (r Report) Warnings() []string {
	var lines, refused, silent, actions []string
	for _, f := range r.Findings {
		if f.Warning {
			lines = append(lines, f.String())
		}
	}
	for _, g := range r.Gaps {
		if g.Action == "" {
			silent = append(silent, fmt.Sprintf("not known: %s (%s)", g.What, g.Why))
			continue
		}
		refused = append(refused, g.What)
		actions = append(actions, g.Action)
	}
	lines = append(lines, distinct(silent)...)
	if len(refused) > 0 {
		slices.Sort(actions)
		lines = append(lines, fmt.Sprintf("not checked, as the credentials do not allow it: %s. The build does without; to have it checked, allow\n  %s",
			strings.Join(distinct(refused), ", "), Statement(distinct(actions))))
	}
	return lines
}

// Statement is a policy statement that allows actions.
func Statement(actions []string) string {
	text, _ := json.Marshal(struct { // strings: cannot fail
		Effect   string
		Action   []string
		Resource string
	}{"Allow", actions, "*"})
	return string(text)
}

// distinct leaves out what was there before.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// decide says which findings are warnings: those that rule out some ways to
// launch, and leave others. Where EC2 would end the ladder instead of refusing
// one, a way only counts that comes before.
func (r *Report) decide(rungs []launch.Rung) {
	first := -1 // the first way that is open
	for i, rung := range rungs {
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.hits != nil && f.hits(rung) }) {
			first = i
			break
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.hits == nil {
			continue
		}
		f.Warning = first >= 0 && (!f.stops || !slices.ContainsFunc(rungs[:first], f.hits))
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Warning && f.quiet })
}

// add takes what a check noted; what two checks found is one finding.
func (r *Report) add(n *notes) {
	for _, f := range n.findings {
		if !slices.ContainsFunc(r.Findings, func(g Finding) bool { return g.String() == f.String() }) {
			r.Findings = append(r.Findings, f)
		}
	}
	for _, g := range n.gaps {
		if !slices.Contains(r.Gaps, g) {
			r.Gaps = append(r.Gaps, g)
		}
	}
	if n.account != "" {
		r.Account = n.account
	}
}

// dropEchoes leaves out what bad credentials keep from being known, where a
// finding says that they are.
func (r *Report) dropEchoes() {
	if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Attribute == "credentials" }) {
		r.Gaps = slices.DeleteFunc(r.Gaps, func(g Gap) bool { return g.echo })
	}
}

// notes are what one check finds.
type notes struct {
	mu       sync.Mutex
	findings []Finding
	gaps     []Gap
	account  string
}

func (n *notes) find(f ...Finding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.findings = append(n.findings, f...)
}

// gap notes that a question, which needs an action, was not answered.
func (n *notes) gap(what, action string, err error) {
	g := Gap{What: what, Action: action}
	if !ec2api.IsUnauthorized(err) {
		g.Action, g.Why, g.echo = "", ec2api.Plain(err).Error(), ec2api.IsBadCredentials(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gaps = append(n.gaps, g)
}

func (n *notes) take(other *notes) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.findings, n.gaps = append(n.findings, other.findings...), append(n.gaps, other.gaps...)
}
