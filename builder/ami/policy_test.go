// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// without is a policy that lacks an action.
func without(d policy.Document, action string) *policy.Document {
	less := policy.Document{}
	for _, s := range d.Statement {
		s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
		if len(s.Action) > 0 {
			less.Statement = append(less.Statement, s)
		}
	}
	return &less
}

// required is a policy without its optional statements.
func required(d policy.Document) *policy.Document {
	d.Statement = slices.DeleteFunc(slices.Clone(d.Statement), func(s policy.Statement) bool { return !s.Required() })
	return &d
}

func actionsOf(d *policy.Document) (all []string) {
	for _, s := range d.Statement {
		all = append(all, s.Action...)
	}
	return all
}

// takeBack makes a build fail when its images are there in all regions.
var takeBack = rehearsal.Fault{Action: "CreateTags", Code: "InvalidRequest"}

// policyCase is a build whose least policy is proven.
type policyCase struct {
	name   string
	config map[string]any
	before func(*testing.T, *world) // what was there
	late   rehearsal.Fault          // how the build fails when all is made; takeBack where it is not set
	need   []string                 // actions that the least policy must have
	not    []string                 // and those that it must not
}

var policyCases = []policyCase{
	{name: "one region", config: map[string]any{"ami_regions": []string(nil)}, not: []string{"ec2:CopyImage"}},
	{name: "two regions", need: []string{"ec2:CopyImage"}, not: []string{"iam:PassRole", "ec2:RegisterImage", "ec2:ModifyImageAttribute"}},
	{name: "spot", config: map[string]any{"markets": []string{"spot"}}, not: []string{"ec2:StopInstances"}},
	{name: "several types and markets", config: map[string]any{"instance_types": []string{"g4dn.xlarge", "g4dn.2xlarge"}, "markets": []string{"on-demand", "spot"}}},
	{name: "capture of a running machine", config: map[string]any{"capture": "reboot"}},
	{name: "no image", config: map[string]any{"skip_create_ami": true, "ami_regions": []string(nil)}, not: []string{"ec2:CreateImage", "ec2:DeregisterImage"}},
	{name: "sharing", config: map[string]any{
		"ami_users": []string{"444455556666"}, "snapshot_users": []string{"444455556666"}, "imds_support": "v2.0",
		"deprecate_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), "deregistration_protection": map[string]any{"enabled": true},
	}, late: rehearsal.Fault{Action: "EnableImageDeregistrationProtection", Region: "us-east-1", Code: "InvalidRequest"}},
	{name: "encryption", config: map[string]any{"encrypt_boot": true}},
	{name: "replacing", config: map[string]any{"force_deregister": true, "force_delete_snapshot": true}, need: []string{"ec2:RegisterImage"}, before: func(t *testing.T, w *world) {
		w.release(t, "sweep", map[string]any{"preflight": "off"})
	}},
	{name: "retiring", config: map[string]any{"ami_regions": []string(nil), "ami_name": "miner-3", "keep_releases": 1, "retire_after": "0s"}, before: func(t *testing.T, w *world) {
		w.release(t, "miner-1", map[string]any{"preflight": "off", "ami_regions": []string(nil)})
		w.release(t, "miner-2", map[string]any{"preflight": "off", "ami_regions": []string(nil), "keep_releases": 1, "retire_after": "0s"})
	}},
	{name: "a profile", config: map[string]any{"iam_instance_profile": "miner", "skip_profile_validation": true}, need: []string{"iam:PassRole"}},
	{name: "a network of filters", config: map[string]any{
		"subnet_filter": map[string]any{"filters": map[string]string{"default-for-az": "true"}},
		"vpc_filter":    map[string]any{"filters": map[string]string{"is-default": "true"}},
	}, need: []string{"ec2:DescribeSubnets", "ec2:DescribeVpcs"}},
	{name: "ENA", config: map[string]any{"ena_support": true}, need: []string{"ec2:ModifyInstanceAttribute"}},
	{name: "a group of one's own", config: map[string]any{"security_group_filter": map[string]any{"filters": map[string]string{"group-name": "default"}}}, not: []string{"ec2:CreateSecurityGroup"}},
	{name: "a price limit", config: map[string]any{"max_price_per_hour": 5}, need: []string{"pricing:GetProducts"}},
	{name: "an image to copy", config: map[string]any{"source_ami_from": "?", "ami_name": "copy", "ami_regions": []string{"us-west-1"}, "skip_save_build_region": true}, not: []string{"ec2:RunInstances"},
		before: func(t *testing.T, w *world) {
			w.release(t, "sweep", map[string]any{"preflight": "off", "ami_regions": []string(nil)})
		}},
}

// run builds the case under a policy, in a world of its own: nil allows all.
func (c policyCase) run(t *testing.T, d *policy.Document, fails bool, with map[string]any) (w *world, err error) {
	t.Helper()
	w = newWorld(t)
	if c.before != nil {
		c.before(t, w)
	}
	config := map[string]any{"preflight": "off"}
	maps.Copy(config, c.config)
	maps.Copy(config, with)
	if config["source_ami_from"] == "?" {
		for _, r := range w.aws.Inventory()["eu-central-1"] {
			if r.Kind == "image" {
				config["source_ami_from"] = r.ID
			}
		}
	}
	if fails {
		fault := c.late
		if fault.Action == "" {
			fault = takeBack
		}
		w.aws.AddFault(fault)
	}
	w.aws.Allow(d)
	w.ui.buf.Reset()
	_, err = w.build(t, t.Context(), config)
	return w, err
}

// least is the policy that the case's configuration needs.
func (c policyCase) least(t *testing.T) policy.Document {
	t.Helper()
	raw := map[string]any{"rehearsal": true, "rehearsal_instance": "none", "region": "eu-central-1", "ami_regions": []string{"us-east-1"}, "ami_name": "sweep"}
	maps.Copy(raw, c.config)
	if raw["source_ami_from"] == "?" {
		raw["source_ami_from"] = "ami-0123456789abcdef0"
	}
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	return policy.Least(b.config.needs("eu-central-1"))
}

// outcome is what exists, without the ids.
func (w *world) outcome() string {
	var lines []string
	for region, resources := range w.aws.Inventory() {
		for _, r := range resources {
			lines = append(lines, fmt.Sprint(region, " ", r.Kind, " ", r.State, " ", r.Tags["ethminer:state"]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// With the required statements alone a build does all that it does when it may
// do everything, whether it succeeds or has to take its images back. Without
// any one action of them it fails or leaves something behind, and says so.
func TestLeastPolicy(t *testing.T) {
	for _, c := range policyCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := c.least(t)
			least := required(all)
			for _, action := range c.need {
				if least.Decide(action) != policy.Allowed {
					t.Errorf("the policy lacks %s:\n%s", action, least.JSON())
				}
			}
			for _, action := range c.not {
				if all.Decide(action) == policy.Allowed {
					t.Errorf("the policy allows %s:\n%s", action, all.JSON())
				}
			}
			ends := map[bool]string{}
			for _, fails := range []bool{false, true} {
				free, freeErr := c.run(t, nil, fails, nil)
				bound, err := c.run(t, least, fails, nil)
				if (err == nil) != (freeErr == nil) || bound.outcome() != free.outcome() {
					t.Fatalf("with its least policy (fails: %v): %v, where it may do everything: %v\n%s\nwhere it may do everything\n%s\n%s", fails, err, freeErr, bound.outcome(), free.outcome(), bound.ui.String())
				}
				kinds := map[string]int{}
				for _, line := range bound.left() {
					kinds[strings.Fields(line)[1]]++
				}
				if kinds["image"] != kinds["snapshot"] || kinds["image"]+kinds["snapshot"] != len(bound.left()) {
					t.Errorf("there is more than images, each with its snapshot: %v", bound.left())
				}
				ends[fails] = bound.outcome()
			}
			for _, action := range actionsOf(least) {
				c.needs(t, without(*least, action), action, ends)
			}
		})
	}
}

// needs fails unless the lack of the action shows.
func (c policyCase) needs(t *testing.T, less *policy.Document, action string, ends map[bool]string) {
	w, err := c.run(t, less, false, nil)
	refusal := action
	if err != nil && strings.Contains(err.Error(), refusal) {
		return
	}
	if err == nil && w.outcome() == ends[false] { // then it is for the clean-up of a build that fails
		w, _ = c.run(t, less, true, nil)
		if w.outcome() == ends[true] {
			t.Errorf("without %s nothing is different", action)
			return
		}
	}
	if said := w.ui.String(); !strings.Contains(said, refusal) {
		t.Errorf("without %s (%v) there is\n%s\nwhich it does not say:\n%s", action, err, w.outcome(), said)
	}
}

// The policy that this project began with is enough, and costs one warning.
func TestSeedPolicy(t *testing.T) {
	text, err := os.ReadFile("testdata/seed-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, others := range [][]string{nil, {"us-east-1"}} {
		regions := append([]string{"eu-central-1"}, others...)
		w := newWorld(t)
		w.aws.Allow(seed)
		artifact, err := w.build(t, t.Context(), map[string]any{"ami_regions": others})
		if err != nil {
			t.Fatalf("%v: %v\n%s", regions, err, w.ui.String())
		}
		for region, image := range w.oneImageEach(t, regions...) {
			if !strings.Contains(artifact.Id(), region+":"+image.ID) {
				t.Errorf("the artifact %s lacks %s of %s", artifact.Id(), image.ID, region)
			}
		}
		if n := strings.Count(w.ui.String(), "Warning: "); n > 1 {
			t.Errorf("%d warnings:\n%s", n, w.ui.String())
		}
	}
}

// With the preflight, whose dry runs need no more than the build, what is
// missing is named before anything is made.
func TestPreflightNamesTheAction(t *testing.T) {
	two := policyCases[1]
	least := required(two.least(t))
	for _, action := range []string{"ec2:RunInstances", "ec2:CreateKeyPair", "ec2:CreateSecurityGroup", "ec2:CopyImage", "ec2:CreateTags"} {
		w, err := two.run(t, without(*least, action), false, map[string]any{"preflight": "on"})
		if err == nil || !strings.Contains(err.Error(), action+" is not allowed") {
			t.Errorf("without %s: %v", action, err)
		}
		if left := w.left(); len(left) > 0 || w.aws.Calls()["eu-central-1"]["CreateKeyPair"] > 0 {
			t.Errorf("without %s it made something: %v", action, left)
		}
	}
	if w, err := two.run(t, least, false, map[string]any{"preflight": "on"}); err != nil || strings.Count(w.ui.String(), "Warning: ") != 1 {
		t.Errorf("with all of them: %v\n%s", err, w.ui.String())
	}
	all := two.least(t)
	if w, err := two.run(t, &all, false, map[string]any{"preflight": "on"}); err != nil || strings.Contains(w.ui.String(), "Warning: ") {
		t.Errorf("with the optional ones: %v\n%s", err, w.ui.String())
	}
}

// packer-plugin-amazon tries these again for minutes; a refusal is one call.
func TestARefusalEndsAtOnce(t *testing.T) {
	two := policyCases[1]
	least := required(two.least(t))
	for action, want := range map[string]string{
		"CreateKeyPair":       "no identity-based policy allows the ec2:CreateKeyPair action",
		"DeleteKeyPair":       "left behind: key-pair key-",
		"DeleteSecurityGroup": "left behind: security-group sg-",
		"TerminateInstances":  "left behind: security-group sg-", // the instance holds it
	} {
		w, err := two.run(t, without(*least, "ec2:"+action), false, nil)
		if said := fmt.Sprint(err, w.ui.String()); !strings.Contains(said, want) {
			t.Errorf("without %s it does not say %q:\n%s", action, want, said)
		}
		calls := w.aws.Calls()["eu-central-1"]
		if n := max(calls["CreateKeyPair"], calls["DeleteKeyPair"], calls["DeleteSecurityGroup"]); n != 1 {
			t.Errorf("without %s one of them is called %d times", action, n)
		}
	}
}

// preflight = "only" prints what docs/iam.md has for the defaults.
func TestPrintedPolicy(t *testing.T) {
	two := policyCases[1]
	w, err := two.run(t, nil, false, map[string]any{"preflight": "only"})
	least := two.least(t)
	if err != nil || !strings.Contains(w.ui.String(), least.JSON()) {
		t.Errorf("it does not print the policy (%v):\n%s", err, w.ui.String())
	}
	page, err := os.ReadFile("../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```json\n"+least.JSON()+"\n```") {
		t.Errorf("docs/iam.md has another policy than\n%s", least.JSON())
	}
}
