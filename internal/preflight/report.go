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

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/estimate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Finding is a problem that would make the build fail.
type Finding struct {
	// Attribute is the option, Value its value and the problem, Expected the
	// expected value, and Remedy the fix. All are text for messages.
	Attribute, Value, Expected, Remedy string
	// Warning is true if the build can continue.
	Warning bool

	hits  func(launch.Attempt) bool // the launch attempts that it rules out; nil means the whole build
	stops bool                      // an error of these attempts ends the launch, without further attempts
	zonal bool                      // it concerns places
	quiet bool                      // reported only if nothing else rules out the attempts

	echo     bool // omitted if other findings rule out the same launch attempts
	rejected bool // AWS rejects the credentials, so other checks are inconclusive
}

func (f Finding) String() string {
	text := strings.TrimSuffix(f.Value, ".")
	if f.Attribute != "" {
		text = f.Attribute + ": " + text
	}
	if f.Expected != "" {
		text += ", want " + f.Expected
	}
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return text
}

// Gap is a check that could not be made.
type Gap struct {
	What string
	// Action is the IAM action that is not allowed; empty if the request failed for
	// another reason.
	Action string
	Why    string

	echo bool // a result of credentials that AWS rejects
}

// Report is the result of all checks.
type Report struct {
	Checks   []string // the checks that were made
	Account  string   // the identity of the credentials; empty if unknown
	Findings []Finding
	Gaps     []Gap
	Cost     estimate.Estimate
}

// Err returns all problems that would make the build fail, or nil.
func (r Report) Err() error {
	var found []error
	for _, f := range r.Findings {
		if !f.Warning {
			found = append(found, errors.New(f.String()))
		}
	}
	return errors.Join(found...)
}

// Warnings returns lines for the user: problems that do not stop the build, and
// checks that could not be made, with the policy statement that allows them.
func (r Report) Warnings() []string {
	var lines, refused, silent, actions []string
	for _, f := range r.Findings {
		if f.Warning {
			lines = append(lines, f.String())
		}
	}
	for _, g := range r.Gaps {
		if g.Action == "" {
			silent = append(silent, fmt.Sprintf("not checked: %s (%s)", g.What, g.Why))
			continue
		}
		refused = append(refused, g.What)
		actions = append(actions, g.Action)
	}
	lines = append(lines, distinct(silent)...)
	if len(refused) > 0 {
		slices.Sort(actions)
		lines = append(lines, fmt.Sprintf("not checked, as the credentials do not allow it: %s. The build does not require these permissions; to enable the checks, allow\n  %s",
			strings.Join(distinct(refused), ", "), Statement(distinct(actions))))
	}
	return lines
}

// Statement returns a policy statement that allows actions.
func Statement(actions []string) string {
	text, _ := json.Marshal(struct { // strings: cannot fail
		Effect   string
		Action   []string
		Resource string
	}{"Allow", actions, "*"})
	return string(text)
}

// distinct removes duplicates.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// decide sets which findings are warnings: those that rule out some launch
// attempts, but not all. If an attempt would end the launch instead of continuing
// with the next one, only the attempts before it count.
func (r *Report) decide(attempts []launch.Attempt) {
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.echo && f.hits != nil && r.ruledOut(attempts, f.hits) })
	first := -1 // the first attempt that is not ruled out
	for i, attempt := range attempts {
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.hits != nil && f.hits(attempt) }) {
			first = i
			break
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.hits == nil {
			continue
		}
		f.Warning = first >= 0 && (!f.stops || !slices.ContainsFunc(attempts[:first], f.hits))
	}
	all := slices.Clone(r.Findings)
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.quiet && (f.Warning || !decisive(f, all, attempts)) })
}

// decisive reports whether the quiet findings alone rule out all launch attempts of a
// type that f concerns. Otherwise another finding is the reason that none remains.
func decisive(f Finding, all []Finding, attempts []launch.Attempt) bool {
	open := map[string]bool{}
	for _, attempt := range attempts {
		if !slices.ContainsFunc(all, func(f Finding) bool { return f.quiet && f.hits(attempt) }) {
			open[attempt.Type] = true
		}
	}
	return slices.ContainsFunc(attempts, func(attempt launch.Attempt) bool { return f.hits(attempt) && !open[attempt.Type] })
}

// ruledOut reports whether findings other than echoes rule out all launch attempts
// that are hit.
func (r *Report) ruledOut(attempts []launch.Attempt, hit func(launch.Attempt) bool) bool {
	for _, attempt := range attempts {
		if hit(attempt) && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.echo && f.hits != nil && f.hits(attempt) }) {
			return false
		}
	}
	return true
}

// add adds the notes of a check, and drops duplicate findings.
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

// dropEchoes drops the gaps caused by bad credentials if a finding reports these,
// and all such findings but the first, as each service has its own error for them.
func (r *Report) dropEchoes() {
	rejected := func(f Finding) bool { return f.rejected }
	first := slices.IndexFunc(r.Findings, rejected)
	if first < 0 {
		return
	}
	r.Gaps = slices.DeleteFunc(r.Gaps, func(g Gap) bool { return g.echo })
	r.Findings = append(r.Findings[:first+1], slices.DeleteFunc(r.Findings[first+1:], rejected)...)
}

// notes are the results of one check.
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

// gap records a failed request and the action that it needs.
func (n *notes) gap(what, action string, err error) {
	g := Gap{What: what, Action: action}
	if !awsclient.IsUnauthorized(err) {
		g.Action, g.Why, g.echo = "", awsclient.Plain(err).Error(), awsclient.IsBadCredentials(err)
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
