// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package artifact

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Verdicts of a launch test.
const (
	// TestPassed means that every check passed.
	TestPassed = "passed"
	// TestFailed means that a check failed: the image does not boot or mine as it must.
	TestFailed = "failed"
	// TestNotMade means that the test told nothing about the image, for example because
	// EC2 had no capacity for its instance.
	TestNotMade = "not made"
)

// LaunchTest is the test of one image: an instance of it was launched, and checked.
type LaunchTest struct {
	Region       string `json:"region"`
	Image        string `json:"image"`
	InstanceID   string `json:"instance_id,omitempty"`
	InstanceType string `json:"instance_type,omitempty"`
	// Market is how the instance was bought, see Report.Market.
	Market string `json:"market,omitempty"`
	// Verdict is TestPassed, TestFailed or TestNotMade, Reason why it is not TestPassed.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	// Output is what the service has printed last, if that explains the reason.
	Output string `json:"output,omitempty"`
	// Checks are in the order in which they were made. The first failed one ends the test.
	Checks []TestCheck `json:"checks,omitempty"`
	// Hashrate is the median rate of the service's log, and ExpectedHashrate that of the
	// image's benchmark, in hashes per second; 0 if unknown.
	Hashrate         float64 `json:"hashrate,omitempty"`
	ExpectedHashrate float64 `json:"expected_hashrate,omitempty"`
	// FinishedAt is when the verdict was known.
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// BilledSeconds is the running time of the instance, and CostUSD its cost, see
	// Report.BilledSeconds.
	BilledSeconds float64 `json:"billed_seconds,omitempty"`
	CostUSD       float64 `json:"cost_usd,omitempty"`
	// Earlier is true if an earlier run of the build made the test.
	Earlier bool `json:"earlier,omitempty"`
	// Evidence is the local file with the console's output, the journal and the state of
	// cloud-init; empty if the test passed.
	Evidence string `json:"evidence,omitempty"`
}

// TestCheck is one check of a launch test.
type TestCheck struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Saw is what the check found, for people.
	Saw string `json:"saw"`
}

// Tag returns the value of the tag of the images: the verdict, where and when, and the
// rate or the reason.
func (t LaunchTest) Tag() string {
	if t.Earlier {
		return t.Reason
	}
	text := fmt.Sprintf("%s %s in %s", t.Verdict, t.FinishedAt.UTC().Format(time.RFC3339), t.Region)
	if t.InstanceType != "" {
		text += " on " + t.InstanceType
	}
	switch {
	case t.Hashrate > 0 && t.Verdict == TestPassed:
		text += " at " + miner.Rate(t.Hashrate).String()
	case t.Reason != "":
		text += ": " + t.Reason
	}
	return strings.Join(strings.Fields(text), " ")
}

// TagSaysPassed reports whether the value of such a tag is of a test that has passed.
func TagSaysPassed(value string) bool { return strings.HasPrefix(value, TestPassed+" ") }

// TagSaysFailed reports whether the value of such a tag is of a test that has failed.
func TagSaysFailed(value string) bool { return strings.HasPrefix(value, TestFailed+" ") }

// FailedTests returns the launch tests that failed.
func (r *Report) FailedTests() []LaunchTest {
	return slices.DeleteFunc(slices.Clone(r.LaunchTests), func(t LaunchTest) bool { return t.Verdict != TestFailed })
}

// PassedTest reports whether an image of the build has passed a launch test, and none
// has failed.
func (r *Report) PassedTest() bool {
	return len(r.FailedTests()) == 0 && slices.ContainsFunc(r.LaunchTests, func(t LaunchTest) bool { return t.Verdict == TestPassed })
}
