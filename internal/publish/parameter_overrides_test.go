// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	stacks "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// withSubnets returns a template with the parameter Subnets, which has no default.
func withSubnets(n int, options string) []byte {
	return append([]byte("Parameters:\n  Subnets: {Type: String"+options+"}\n"), template(n, three...)...)
}

// overrideSpec returns a spec whose set has a value for Subnets, and overrides.
func overrideSpec(overrides ...stackset.Override) publish.Spec {
	s := setSpec(three...)
	s.StackSet.CanaryRegion = ""
	s.StackSet.Parameters = map[string]string{"Subnets": "set"}
	s.StackSet.Overrides = overrides
	return s
}

func override(regions, accounts []string, value string) stackset.Override {
	return stackset.NewOverride(regions, accounts, map[string]string{"Subnets": value})
}

// subnets returns the parameter of each stack, by region and the account's first digit.
func (w *world) subnets() string {
	var all []string
	for _, stack := range w.server.Stacks("us-east-1", "mining") {
		all = append(all, stack.Region+" "+stack.Account[:1]+"="+stack.Parameters["Subnets"])
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// The life of overrides: set at creation, not touched if nothing has changed, changed,
// reset, and those of others kept.
func TestParameterOverrides(t *testing.T) {
	w := newWorld(t, three...)
	us, eu := override([]string{"us-east-1"}, nil, "us"), override([]string{"eu-central-1"}, accounts[1:], "eu2")
	for _, step := range []struct {
		why        string
		overrides  []stackset.Override
		number     int
		subnets    string
		operations string
	}{
		{"created", []stackset.Override{us, eu}, 1, "ap-south-1 1=set, ap-south-1 2=set, eu-central-1 1=set, eu-central-1 2=eu2, us-east-1 1=us, us-east-1 2=us",
			"CREATE eu-central-1; CREATE ap-south-1; CREATE eu-central-1; CREATE us-east-1"},
		{"the same again", []stackset.Override{us, eu}, 1, "ap-south-1 1=set, ap-south-1 2=set, eu-central-1 1=set, eu-central-1 2=eu2, us-east-1 1=us, us-east-1 2=us", ""},
		{"another template", []stackset.Override{us, eu}, 2, "ap-south-1 1=set, ap-south-1 2=set, eu-central-1 1=set, eu-central-1 2=eu2, us-east-1 1=us, us-east-1 2=us", "UPDATE ap-south-1,eu-central-1,us-east-1"},
		{"a changed value", []stackset.Override{override([]string{"us-east-1"}, nil, "us9"), eu}, 2, "ap-south-1 1=set, ap-south-1 2=set, eu-central-1 1=set, eu-central-1 2=eu2, us-east-1 1=us9, us-east-1 2=us9", "UPDATE us-east-1"},
		{"the last one applies", []stackset.Override{override(nil, nil, "all"), override(nil, accounts[:1], "one")}, 2, "ap-south-1 1=one, ap-south-1 2=all, eu-central-1 1=one, eu-central-1 2=all, us-east-1 1=one, us-east-1 2=all",
			"UPDATE ap-south-1,eu-central-1,us-east-1; UPDATE ap-south-1,eu-central-1,us-east-1"},
		{"removed", nil, 2, "ap-south-1 1=set, ap-south-1 2=set, eu-central-1 1=set, eu-central-1 2=set, us-east-1 1=set, us-east-1 2=set", "UPDATE ap-south-1,eu-central-1,us-east-1"},
	} {
		s := overrideSpec(step.overrides...)
		w.must(w.publish(s, withSubnets(step.number, "")))
		if got := w.subnets(); got != step.subnets {
			t.Errorf("%s: the stacks have\n%s, want\n%s", step.why, got, step.subnets)
		}
		if got := sortedOperations(w.operations()); got != sortedOperations(step.operations) {
			t.Errorf("%s: made by %s, want %s", step.why, got, step.operations)
		}
		w.wantCurrent(6)
		w.wantStatus(s, withSubnets(step.number, ""), "")
	}
}

// sortedOperations orders operations, some of which have no order of their own.
func sortedOperations(list string) string {
	all := strings.Split(list, "; ")
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// wantStatus compares the findings of the status, except those that are as expected.
func (w *world) wantStatus(s publish.Spec, body []byte, want string) {
	w.Helper()
	state, err := w.publisher().State(w.Context(), w.plan(s, body).Source())
	w.must(err)
	findings, err := w.publisher().Check(w.Context(), state)
	w.must(err)
	var lines []string
	for _, f := range findings {
		if !f.OK() {
			lines = append(lines, f.Kind+" "+f.Region+" "+f.Name+": "+f.Is)
		}
	}
	if got := strings.Join(lines, "\n"); got != want {
		w.Errorf("the status is %q, want %q", got, want)
	}
}

// Overrides of other programs are kept, reported, and not reset; one that is missing
// is reported.
func TestOverridesOfOthers(t *testing.T) {
	w := newWorld(t, three...)
	body := append([]byte("Parameters:\n  Subnets: {Type: String}\n  Size: {Type: String, Default: small}\n"), template(1, three...)...)
	s := overrideSpec(override([]string{"us-east-1"}, nil, "us"))
	w.must(w.publish(s, body))
	update := func(name, value, region string) {
		_, err := w.cloudformation().UpdateStackInstances(t.Context(), &cloudformation.UpdateStackInstancesInput{
			StackSetName: mining, Accounts: accounts, Regions: []string{region}, ParameterOverrides: []types.Parameter{{ParameterKey: &name, ParameterValue: &value}},
		})
		w.must(err)
		w.idle()
	}
	update("Size", "big", "us-east-1") // which removes the override of Subnets
	w.wantStatus(s, body, "override us-east-1 mining, account 111111111111: overrides Size; does not override Subnets\n"+
		"override us-east-1 mining, account 222222222222: overrides Size; does not override Subnets")
	w.must(w.publish(s, body))
	if got := w.subnets(); !strings.Contains(got, "us-east-1 1=us") {
		t.Errorf("the stacks have %s", got)
	}
	for _, stack := range w.server.Stacks("us-east-1", "mining") {
		if want := map[bool]string{true: "big", false: "small"}[stack.Region == "us-east-1"]; stack.Parameters["Size"] != want {
			t.Errorf("%s has %v", stack.Region, stack.Parameters)
		}
	}
	if !w.hasSaid("keeps its override of Size, which parameter_overrides does not contain") || !w.hasSaid("--parameter-overrides ParameterKey=Subnets,UsePreviousValue=true") {
		t.Errorf("said %q", w.said)
	}
}

// A changed value that CloudFormation hides is rolled out, and no value is printed or
// stored in a bucket.
func TestHiddenOverrides(t *testing.T) {
	w := newWorld(t, three...)
	body := withSubnets(1, ", NoEcho: true")
	for _, value := range []string{"0xsecret1", "0xsecret2"} {
		w.must(w.publish(overrideSpec(override([]string{"us-east-1"}, accounts[:1], value)), body))
		if got := w.subnets(); !strings.Contains(got, "us-east-1 1="+value+", us-east-1 2=set") {
			t.Errorf("the stacks have %s", got)
		}
	}
	w.must(w.publish(overrideSpec(), body))
	if got := w.subnets(); strings.Contains(got, "0xsecret") {
		t.Errorf("not reset: %s", got)
	}
	stored := fmt.Sprint(w.objects(), w.said, w.plan(overrideSpec(override(nil, nil, "0xsecret3")), body).Lines())
	if strings.Contains(stored, "0xsecret") || !strings.Contains(stored, "overrides in all regions, all accounts: Subnets") {
		t.Errorf("printed or stored: %s", stored)
	}
}

// A parameter that a new template adds is overridden after the update of the set.
func TestOverrideOfNewParameter(t *testing.T) {
	w := newWorld(t, three...)
	w.must(w.publish(setSpec(three...), template(1, three...)))
	s := overrideSpec(override([]string{"us-east-1"}, nil, "us"))
	s.StackSet.Accounts = append(slices.Clone(accounts), "333333333333")
	w.must(w.publish(s, withSubnets(2, "")))
	want := "ap-south-1 1=set, ap-south-1 2=set, ap-south-1 3=set, eu-central-1 1=set, eu-central-1 2=set, eu-central-1 3=set, us-east-1 1=us, us-east-1 2=us, us-east-1 3=us"
	if got := w.subnets(); got != want {
		t.Errorf("the stacks have %s", got)
	}
	w.wantCurrent(9)
	// A rollback to the template without it succeeds, and so does the way back, which
	// keeps the values.
	for range 2 {
		state, err := w.publisher().State(t.Context(), w.plan(s, template(1, three...)).Source())
		w.must(err)
		to := w0(t, s, 1)
		if state.Latest.Version == to {
			to = w.plan(s, withSubnets(2, "")).Version
			state.Record.Stack = append(state.Record.Stack, publish.Entry{Version: to, SHA256: to})
		}
		plan, err := w.publisher().RollbackPlan(t.Context(), state, to)
		w.must(err)
		if plan.StackSet.Parameters = nil; plan.Version == to && to != w0(t, s, 1) {
			plan.StackSet.Parameters = map[string]string{"Subnets": "set"}
		}
		w.must(w.publisher().Publish(t.Context(), plan))
	}
	if got := w.subnets(); got != want {
		t.Errorf("after two rollbacks the stacks have %s", got)
	}
}

// A stack that a rollback would have to create without the values of its overrides is
// an error.
func TestRollbackWithoutValues(t *testing.T) {
	w := newWorld(t, three...)
	s := overrideSpec(override([]string{"us-east-1"}, nil, "us"))
	w.must(w.publish(s, withSubnets(1, "")))
	w.must(w.publish(s, withSubnets(2, "")))
	_, err := w.cloudformation().DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
		StackSetName: mining, Accounts: accounts[:1], Regions: []string{"us-east-1"}, RetainStacks: aws.Bool(false),
	})
	w.must(err)
	w.idle()
	state, err := w.publisher().State(t.Context(), w.plan(s, withSubnets(1, "")).Source())
	w.must(err)
	plan, err := w.publisher().RollbackPlan(t.Context(), state, "")
	w.must(err)
	if err := w.publisher().Publish(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "111111111111 has no stack in us-east-1, and the values of parameter_overrides are not recorded") {
		t.Errorf("error %v", err)
	}
}

// If stacks fail with new overrides, or with a new template after that, they get the
// previous ones back.
func TestRestoreOverrides(t *testing.T) {
	for _, row := range []struct {
		number        int
		failing, want string
	}{
		{1, "UpdateStackInstances", "the stacks have their previous parameter overrides again"},
		{2, "UpdateStackInstances", "the stacks have their previous parameter overrides again"},
		{2, "UpdateStackSet", "the stack set has its previous template again"},
	} {
		w := newWorld(t, three...)
		w.must(w.publish(overrideSpec(override([]string{"us-east-1"}, nil, "good")), withSubnets(1, "")))
		before := w.subnets()
		w.wire.reset(func(_ int, c call) error {
			if c.action == row.failing {
				w.wire.reset(nil)
				w.fail("us-east-1", accounts[1], 1)
			}
			return nil
		})
		err := w.publish(overrideSpec(override([]string{"us-east-1"}, nil, "bad")), withSubnets(row.number, ""))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("error %v, want %q", err, row.want)
		}
		if got := w.subnets(); got != before || !strings.Contains(w.template(), "number 1") {
			t.Errorf("the stacks have %s, and the set has %s", got, w.template())
		}
		w.wantCurrent(6)
	}
}

// A stack that could not be created with a wrong value is not updated with it again.
func TestCorrectedOverride(t *testing.T) {
	for _, number := range []int{1, 2} {
		w := newWorld(t, three...)
		w.fail("us-east-1", "", 0)
		if err := w.publish(overrideSpec(override([]string{"us-east-1"}, nil, "bad")), withSubnets(1, "")); err == nil {
			t.Fatal("no error")
		}
		w.wire.reset(func(_ int, c call) error {
			if c.action == "UpdateStackInstances" {
				w.server.AddFault(rehearsal.Fault{StackRegion: "us-east-1"}) // which ends it
			}
			return nil
		})
		w.must(w.publish(overrideSpec(override([]string{"us-east-1"}, nil, "good")), withSubnets(number, "")))
		w.wire.reset(nil)
		if got := w.subnets(); !strings.Contains(got, "us-east-1 1=good, us-east-1 2=good") {
			t.Errorf("the stacks have %s", got)
		}
		w.wantCurrent(6)
	}
}

// In organizational units, overrides apply to a region, or to an account of a unit.
func TestOverridesInUnits(t *testing.T) {
	w := newWorld(t, three...)
	unit := "ou-ab12-11111111"
	members := stacks.UnitAccounts(unit)
	s := overrideSpec(override([]string{"us-east-1"}, nil, "us"), override([]string{"us-east-1"}, members[:1], "own"))
	s.StackSet.Accounts, s.StackSet.PermissionModel, s.StackSet.OrganizationalUnits = nil, "SERVICE_MANAGED", []string{unit}
	want := map[string]string{}
	for _, region := range three {
		for _, account := range members {
			want[region+" "+account] = "set"
		}
	}
	check := func() {
		t.Helper()
		got := map[string]string{}
		for _, stack := range w.server.Stacks("us-east-1", "mining") {
			got[stack.Region+" "+stack.Account] = stack.Parameters["Subnets"]
		}
		if !maps.Equal(got, want) {
			t.Errorf("the stacks have %v, want %v", got, want)
		}
	}
	w.must(w.publish(s, withSubnets(1, "")))
	want["us-east-1 "+members[0]], want["us-east-1 "+members[1]] = "own", "us"
	check()
	w.operations()
	s.StackSet.Overrides = []stackset.Override{override(nil, members[1:], "other")}
	w.must(w.publish(s, withSubnets(1, "")))
	for _, region := range three {
		want[region+" "+members[0]], want[region+" "+members[1]] = "set", "other"
	}
	check()
	if got := w.operations(); sortedOperations(got) != "UPDATE ap-south-1,eu-central-1,us-east-1; UPDATE us-east-1" {
		t.Errorf("made by %s", got)
	}
}

// A roll-out with overrides that is killed at any call is resumed.
func TestOverridesKilledAtEveryCall(t *testing.T) {
	begin := func() *world {
		w := newWorld(t, three...)
		w.must(w.publish(overrideSpec(override([]string{"us-east-1"}, nil, "us")), withSubnets(1, "")))
		w.wire.reset(nil)
		return w
	}
	s := overrideSpec(override([]string{"us-east-1"}, accounts[:1], "us9"), override([]string{"ap-south-1"}, nil, "ap"))
	do := func(w *world) error { return w.publish(s, withSubnets(2, "")) }
	w := begin()
	w.must(do(w))
	calls := w.wire.reset(nil)
	want := w.subnets()
	if want != "ap-south-1 1=ap, ap-south-1 2=ap, eu-central-1 1=set, eu-central-1 2=set, us-east-1 1=us9, us-east-1 2=set" {
		t.Fatalf("the stacks have %s", want)
	}
	for k := range calls {
		if calls[k].service != "cloudformation" {
			continue // TestKilledAtEveryCall has the others
		}
		for _, way := range ways[1:] {
			w := begin()
			w.dieAt(k+1, way)
			if err := do(w); err == nil {
				t.Fatalf("%s at call %d: no error", way, k+1)
			}
			w.live()
			if err := do(w); err != nil {
				t.Fatalf("%s at call %d, of %v, run again: %v", way, k+1, calls[k], err)
			}
			if got := w.subnets(); got != want {
				t.Fatalf("%s at call %d, of %v, and run again, the stacks have %s", way, k+1, calls[k], got)
			}
		}
	}
}

// Wrong overrides are found before anything is published.
func TestWrongOverrides(t *testing.T) {
	for want, change := range map[string]func(*stackset.Config){
		`parameter_overrides[0].regions: got "eu-west-1", want any of regions (us-east-1, eu-central-1, ap-south-1); add it to regions`: func(s *stackset.Config) { s.Overrides[0].Regions = []string{"eu-west-1"} },
		`parameter_overrides[0].accounts: got "999999999999", want any of accounts (111111111111, 222222222222)`:                        func(s *stackset.Config) { s.Overrides[0].Accounts = []string{"999999999999"} },
		`parameter_overrides has "Subnet", which the template does not declare; want any of Subnets`: func(s *stackset.Config) {
			s.Overrides[0] = stackset.NewOverride(nil, accounts, map[string]string{"Subnet": "x"})
		},
		`without a value: Subnets; set them in parameters; an override replaces the value of the stack set`: func(s *stackset.Config) { s.Parameters = nil },
	} {
		w := newWorld(t, three...)
		s := overrideSpec(override(nil, accounts, "x"))
		change(s.StackSet)
		plan, err := publish.Compute(s, withSubnets(1, ""))
		if err == nil {
			outlook := w.publisher().Forecast(t.Context(), publish.Forecast{Plan: plan})
			err = w.publisher().Publish(t.Context(), plan)
			if got := fmt.Sprint(outlook.Problems); !strings.Contains(got, want) {
				t.Errorf("the forecast has %s, want %q", got, want)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(w.objects()), "/latest/") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
