// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package summary

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

func example(t *testing.T) Build {
	t.Helper()
	b := Build{Report: artifact.Report{
		BuildID: "b", Images: map[string]string{"us-east-1": "ami-2", "eu-central-1": "ami-1"},
		Accounts:       map[string]map[string]string{"111122223333": {"us-east-1": "ami-3"}},
		FailedRegions:  map[string]string{"us-west-1": "denied"},
		FailedAccounts: map[string]map[string]string{"111122223333": {"us-west-1": "denied"}},
		LaunchTests: []artifact.LaunchTest{{
			Region: "us-east-1", Image: "ami-2", InstanceType: "g4dn.xlarge", Verdict: artifact.TestPassed, Hashrate: 24.4e6, CostUSD: 0.0351,
			FinishedAt: time.Date(2026, 11, 29, 13, 19, 46, 0, time.UTC),
		}},
		Phases: []artifact.Phase{{Name: "launch", Seconds: 30}, {Name: "provision", Seconds: 60}}, InstanceSeconds: 80,
		BilledSeconds: 70, PricePerHourUSD: 0.526, CostUSD: 0.0102, Capture: artifact.CaptureNoReboot,
	}}
	measured := miner.Report{
		SchemaVersion: miner.ReportSchema, Device: miner.DeviceCUDA, GPUs: []string{"Tesla T4"}, Miner: "ethminer 0.19.0", Epoch: 390,
		WindowSeconds: 60, Hashrate: 24.5e6, Limit: 37.2e6, LimitShare: 0.6586, LimitSource: miner.LimitMeasured,
	}
	text, err := json.Marshal(measured)
	if err != nil {
		t.Fatal(err)
	}
	b.Benchmark = text
	all, err := json.Marshal(b.Report)
	if err != nil {
		t.Fatal(err)
	}
	b, err = Decode(all)
	if err != nil || b.Measured == nil {
		t.Fatalf("%v, %v", err, b.Unreadable)
	}
	return b
}

const exampleText = `AMIs were created:
eu-central-1: ami-1
us-east-1: ami-2
account 111122223333, us-east-1: ami-3
us-west-1: no image (on_copy_failure = "keep")
account 111122223333, us-west-1: no image (on_copy_failure = "keep")
hash rate: 24.50 Mh/s (GPU: Tesla T4, epoch 390, 60 s window, ethminer 0.19.0)
share of the limit: 66 % of 37.20 Mh/s, the limit by memory bandwidth (measured)
launch test: passed 2026-11-29T13:19:46Z in us-east-1 on g4dn.xlarge at 24.40 Mh/s
build time: 1 min 30 s (the instance existed for 1 min 20 s)
cost so far: $0.05 (instance for 1 min 10 s at $0.526 an hour, launch tests $0.04; without volumes, snapshots and transfer)
created without a reboot: the file systems may be inconsistent (capture = "no-reboot")
`

// source is an artifact as the next one sees it.
type source struct {
	text     *Text
	build    string
	template string
}

func (s source) state(name string) any {
	switch name {
	case artifact.StateSummary:
		return s.text.Claim()
	case artifact.StateBuild:
		return s.build
	case artifact.StateTemplate:
		if s.template != "" {
			return s.template
		}
	}
	return nil
}

// TestTheLastArtifactPrintsTheSummary: a chain of artifacts has every fact once.
func TestTheLastArtifactPrintsTheSummary(t *testing.T) {
	b := example(t)
	report, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	first := &Text{Build: &b, Short: b.ImageCount() + ", listed below"}
	if got := first.String(); got != exampleText {
		t.Errorf("the builder alone prints\n%s\nwant\n%s", got, exampleText)
	}
	template := artifact.Template{Path: "out.template", Diff: "-a\n+b\n", Publication: "mining, version 1: parameter /mining"}
	second := Follow(source{text: first, build: report}.state)
	second.Template, second.Short = &template, "CloudFormation template: see below"
	withTemplate := exampleText + "CloudFormation template: out.template\npublished: mining, version 1: parameter /mining\n"
	if first.String() != "3 AMIs, listed below" || second.String() != withTemplate {
		t.Errorf("two artifacts print %q and\n%s", first, second)
	}
	third := Follow(source{text: second, build: report, template: template.JSON()}.state)
	third.Page, third.Short = "report.html", "build report: report.html"
	if first.String() != "3 AMIs, listed below" || second.String() != "CloudFormation template: see below" || third.String() != withTemplate+"build report: report.html\n" {
		t.Errorf("three artifacts print %q, %q and\n%s", first, second, third)
	}

	// A template that is filled after the page was written.
	page := &Text{Build: &b, Page: "report.html", Short: "build report: report.html"}
	after := Follow(source{text: page, build: report}.state)
	after.Template = &template
	if page.String() != "build report: report.html" || after.String() != withTemplate {
		t.Errorf("a template after the page prints %q and\n%s", page, after)
	}

	// An artifact of another sequence has its own results only, and so has the one after it.
	other := Follow(source{text: first, build: report}.state)
	other.Template = &artifact.Template{Path: "other.template"}
	if got := other.String(); got != "CloudFormation template: other.template (unchanged)\n" {
		t.Errorf("a second sequence prints %q", got)
	}
	last := Follow(source{text: other, build: report, template: other.Template.JSON()}.state)
	last.Page = "other.html"
	if got := last.String(); got != "build report: other.html\n" {
		t.Errorf("the artifact after it prints %q", got)
	}
}

// TestAnotherBuilder: an artifact without a report has no summary to leave.
func TestAnotherBuilder(t *testing.T) {
	text := Follow(func(string) any { return nil })
	text.Template = &artifact.Template{Path: "x", DryRun: true}
	if got := text.String(); got != "CloudFormation template: not written (dry_run)\n" || text.Claim() {
		t.Errorf("got %q", got)
	}
}

// TestCostOfTestsOnly: a resumed build has launched no instance but those of the tests.
func TestCostOfTestsOnly(t *testing.T) {
	b := example(t)
	b.CostUSD, b.Resumed = 0, true
	if got, want := (&Text{Build: &b}).String(), "cost so far: $0.04 (launch tests $0.04; without volumes, snapshots and transfer; of this run only)\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
}

func TestReportTo(t *testing.T) {
	var told []string
	say := func(kind string, values ...string) { told = append(told, kind+","+strings.Join(values, ",")) }
	example(t).ReportTo(say)
	want := []string{
		"ethminer-image,eu-central-1,ami-1,", "ethminer-image,us-east-1,ami-2,", "ethminer-image,us-east-1,ami-3,111122223333",
		"ethminer-hashrate,24500000,0.6586", "ethminer-launch-test,us-east-1,ami-2,passed,24400000", "ethminer-cost,0.0453",
	}
	if !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	told = nil
	(Build{Report: artifact.Report{BuildID: "b", Images: map[string]string{"us-east-1": "ami-1"}}}).ReportTo(say)
	if want := []string{"ethminer-image,us-east-1,ami-1,"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}
