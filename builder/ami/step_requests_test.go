// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
)

var update = flag.Bool("update", false, "write testdata/step_requests.txt")

// TestStepRequests runs each step of each configuration, and its Cleanup in a build
// that fails right after it. testdata/step_requests.txt lists the requests of both, the
// facts that the step yields, and what the step does if EC2 or IAM refuses a request.
func TestStepRequests(t *testing.T) {
	const buildID = "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"
	configs := []struct {
		name    string
		config  map[string]any
		prepare func(t *testing.T, w *world) // runs before the build
	}{
		{"on-demand", map[string]any{}, nil},
		{"spot", map[string]any{"spot_price": "auto", "availability_zone": "eu-central-1a"}, nil},
		{"a fleet", map[string]any{"spot_price": "auto"}, nil},
		{"encrypted", map[string]any{"encrypt_boot": true}, nil},
		{"settings", map[string]any{
			"ami_users": []string{"444455556666"}, "deprecate_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), "deregistration_protection": map[string]any{"enabled": true},
		}, nil},
		{"accounts", map[string]any{"ami_accounts": []map[string]any{{"id": accountA, "role_arn": roleOf(accountA), "ssm_parameter": "/ethminer/ami"}}}, nil},
		{"temporary profile", map[string]any{"temporary_iam_instance_profile_policy_document": map[string]any{
			"Version": "2012-10-17", "Statement": []map[string]any{{"Effect": "Allow", "Action": []string{"s3:GetObject"}, "Resource": []string{"*"}}},
		}}, nil},
		{"replacing", map[string]any{"force_deregister": true, "force_delete_snapshot": true, "keep_releases": 1}, func(t *testing.T, w *world) {
			if _, err := w.build(t, t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}},
		{"resumed", map[string]any{"build_id": buildID}, func(t *testing.T, w *world) {
			if _, err := w.build(t, t.Context(), map[string]any{"build_id": buildID, "ami_regions": []string{"eu-central-1"}}); err != nil {
				t.Fatal(err)
			}
		}},
	}
	var b strings.Builder
	known := map[string]bool{}
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			fmt.Fprintf(&b, "# %s\n", c.name)
			for n, more := 0, true; more; n++ {
				var text string
				if text, more = describeStep(t, c.config, c.prepare, known, n); text != "" {
					b.WriteString(text)
				}
			}
			b.WriteString("\n")
		})
	}
	const file = "testdata/step_requests.txt"
	text := b.String()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := ""
	lines, wanted := strings.Split(text, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(lines), len(wanted)) {
		if i >= len(lines) || i >= len(wanted) || lines[i] != wanted[i] {
			t.Fatalf("%s:%d (%s):\ngot  %s\nwant %s\nto accept all changes: go test ./builder/ami -run TestStepRequests -update",
				file, i+1, at, slices.Concat(lines, []string{""})[min(i, len(lines))], slices.Concat(wanted, []string{""})[min(i, len(wanted))])
		}
		if !strings.HasPrefix(lines[i], " ") {
			at = cmp.Or(lines[i], at)
		}
	}
}

// describeStep describes step n of a configuration, unless the description is known.
// more is false for the last step.
func describeStep(t *testing.T, config map[string]any, prepare func(*testing.T, *world), known map[string]bool, n int) (text string, more bool) {
	t.Helper()
	r := newStagedBuild(t, config, prepare)
	if !r.runUntil(t, n) {
		t.Fatalf("the build halted before step %d:\n%s", n, r.ui.String())
	}
	step := r.plan[n]
	action := r.run(t, n)
	requests := r.take()
	if action != multistep.ActionContinue {
		t.Fatalf("%s halted:\n%s", step.name, r.ui.String())
	}
	r.state.Put(steps.KeyError, errors.New("a later step failed"))
	step.Cleanup(r.state)
	cleanup := r.take()
	for i := n - 1; i >= 0; i-- {
		r.plan[i].Cleanup(r.state)
	}
	left := "nothing"
	if found := r.leftOver(); len(found) > 0 {
		left = strings.Join(found, ", ")
	}
	more = n+1 < len(r.plan)
	if len(requests) == 0 && len(cleanup) == 0 {
		return "", more
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", step.name)
	fmt.Fprintf(&b, "  run      %s\n", strings.Join(requests, ", "))
	if declared, ok := step.step.(steps.Step); ok {
		if _, yields := declared.Facts(); len(yields) > 0 {
			fmt.Fprintf(&b, "  yields   %s\n", strings.Trim(strings.ReplaceAll(fmt.Sprintf("%q", yields), `" "`, ", "), `[]"`))
		}
	}
	if len(cleanup) > 0 {
		fmt.Fprintf(&b, "  cleanup  %s\n", strings.Join(cleanup, ", "))
	}
	fmt.Fprintf(&b, "  left     %s\n", left)
	if known[b.String()] {
		return "", more
	}
	known[b.String()] = true
	for _, request := range requests {
		r := newStagedBuild(t, config, prepare)
		r.runUntil(t, n)
		r.refuse(request)
		result := "continues"
		if r.run(t, n) == multistep.ActionHalt {
			result = "halts"
		}
		r.refuse("")
		for i := n; i >= 0; i-- {
			r.plan[i].Cleanup(r.state)
		}
		if found := r.leftOver(); len(found) > 0 && result == "halts" {
			result += ", leaves " + strings.Join(found, ", ")
		}
		fmt.Fprintf(&b, "  refused  %s: %s\n", request, result)
	}
	return b.String(), more
}

// stagedBuild is a build whose steps run one by one. It notes each request once, as
// "action", or "action in region" outside the build's region.
type stagedBuild struct {
	*world
	plan   []*guarded
	state  multistep.StateBag
	before []string // resources from before the build

	mu       sync.Mutex
	requests []string
	refused  string
}

func newStagedBuild(t *testing.T, config map[string]any, prepare func(*testing.T, *world)) *stagedBuild {
	t.Helper()
	w := newWorld(t)
	if prepare != nil {
		prepare(t, w)
	}
	s := &stagedBuild{world: w, before: w.left()}
	w.transport = s
	full := map[string]any{"preflight": "off"}
	for key, value := range config {
		full[key] = value
	}
	b := w.builder(t, full)
	clients := w.clients()
	_, s.state = b.begin(clients, listener{&packersdk.BasicUi{}, &w.ui, w.answer}, &packersdk.MockHook{})
	for _, p := range flat(b.plan(t.Context(), s.state, clients)) {
		s.plan = append(s.plan, &guarded{planStep: p})
	}
	return s
}

// runUntil runs the steps before step n, and reports whether all of them continued.
func (s *stagedBuild) runUntil(t *testing.T, n int) bool {
	t.Helper()
	for i := range n {
		if s.run(t, i) != multistep.ActionContinue {
			return false
		}
	}
	s.take()
	return true
}

func (s *stagedBuild) run(t *testing.T, n int) multistep.StepAction {
	t.Helper()
	return s.plan[n].Run(context.WithoutCancel(t.Context()), s.state)
}

// take returns the requests since the last call, sorted.
func (s *stagedBuild) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.requests
	s.requests = nil
	slices.Sort(taken)
	return slices.Compact(taken)
}

// refuse lets EC2 and IAM refuse a request from now on; empty for none.
func (s *stagedBuild) refuse(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = request
}

// leftOver returns the kinds of resources that the build has left, except released
// images.
func (s *stagedBuild) leftOver() (kinds []string) {
	for _, line := range s.left() {
		if !slices.Contains(s.before, line) {
			kinds = append(kinds, strings.Fields(line)[1]+" in "+strings.Fields(line)[0])
		}
	}
	return kinds
}

func (s *stagedBuild) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	_, name, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	name = cmp.Or(form.Get("Action"), name)
	scope := strings.Split(request.Header.Get("Authorization"), "/")
	if region := scope[2]; region != "eu-central-1" && scope[3] == "ec2" {
		name += " in " + region
	}
	if form.Get("DryRun") == "true" {
		name += " (dry run)"
	}
	s.mu.Lock()
	s.requests = append(s.requests, name)
	refused := s.refused == name
	s.mu.Unlock()
	if refused && request.Header.Get("X-Amz-Target") != "" {
		return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Request: request, Body: io.NopCloser(strings.NewReader(
			`{"__type":"AccessDeniedException","message":"You are not authorized."}`))}, nil
	}
	if refused {
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Request: request, Body: io.NopCloser(strings.NewReader(
			"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized.</Message></Error></Errors></Response>"))}, nil
	}
	return s.world.RoundTrip(request)
}
