// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package artifact holds what the builder's artifact passes on to later components:
// its state keys and the build's report.
package artifact

import (
	"encoding/json"
	"math"
	"time"
)

// Report is the build's report to later components. It is one JSON string under the
// state key StateBuild, because plugin RPC passes strings on unchanged. Fields are only
// added, never removed or renamed.
type Report struct {
	BuildID       string `json:"build_id"`
	PluginVersion string `json:"plugin_version"`
	// StartedAt is the start of this run in UTC.
	StartedAt time.Time `json:"started_at,omitzero"`
	// Rehearsal is true if AWS was simulated; the ids exist in no account.
	Rehearsal   bool   `json:"rehearsal"`
	BuildRegion string `json:"build_region"`
	// Regions are the target regions of the build.
	Regions []string `json:"regions"`
	// Architecture is x86_64 or arm64, as EC2 names it.
	Architecture string `json:"architecture,omitempty"`
	SourceImage  string `json:"source_image,omitempty"`
	InstanceID   string `json:"instance_id,omitempty"`
	InstanceType string `json:"instance_type,omitempty"`
	Zone         string `json:"availability_zone,omitempty"`
	// Market is how the instance was bought: "capacity-reservation",
	// "on-demand" or "spot".
	Market string `json:"market,omitempty"`
	// PricePerHourUSD is the instance's price per hour at its launch, if known;
	// PriceSource is the source of the price.
	PricePerHourUSD float64 `json:"price_per_hour_usd,omitempty"`
	PriceSource     string  `json:"price_source,omitempty"`
	// SpotReclaims is the number of instances that EC2 interrupted before this
	// one, and ReclaimedSeconds the total time that they ran.
	SpotReclaims     int `json:"spot_reclaims,omitempty"`
	ReclaimedSeconds int `json:"reclaimed_seconds,omitempty"`
	// InstanceSeconds is the time from the response of RunInstances to the
	// request to terminate.
	InstanceSeconds int `json:"instance_seconds,omitempty"`
	// Capture is how the image was created: "stop", "reboot" or CaptureNoReboot.
	Capture string `json:"capture,omitempty"`
	// BilledSeconds is the running time, which EC2 bills, and CostUSD its cost at
	// PricePerHourUSD, without volumes.
	BilledSeconds float64 `json:"billed_seconds,omitempty"`
	CostUSD       float64 `json:"cost_usd,omitempty"`
	// Images and Snapshots are by region.
	Images    map[string]string   `json:"images,omitempty"`
	Snapshots map[string][]string `json:"snapshots,omitempty"`
	// Resumed is true if an earlier run of the build (build_id) created a part of it.
	Resumed bool `json:"resumed,omitempty"`
	// CopiedFrom is "region:ami-..." if the image was only copied (source_ami_from).
	CopiedFrom string `json:"copied_from,omitempty"`
	// Phases are the steps of this run in their order.
	Phases []Phase `json:"phases,omitempty"`
	// FailedRegions maps the regions without an image (on_copy_failure = "keep")
	// to the reasons.
	FailedRegions map[string]string `json:"failed_regions,omitempty"`
	// Accounts are the copies of other accounts (ami_accounts): image ids by account
	// and region. FailedAccounts are the reasons of missing copies.
	Accounts       map[string]map[string]string `json:"accounts,omitempty"`
	FailedAccounts map[string]map[string]string `json:"failed_accounts,omitempty"`
	// LaunchTests are the tests of the images, one per tested region.
	LaunchTests []LaunchTest `json:"launch_test,omitempty"`
	// Unreleased is true if the images are kept although a launch test has failed
	// (on_launch_test_failure = "keep"). They must not be published.
	Unreleased bool `json:"unreleased,omitempty"`
	// Benchmark is the instance's /etc/ethminer/benchmark.json, if it left one.
	Benchmark json.RawMessage `json:"benchmark,omitempty"`
	// Inventory is the instance's /etc/ethminer/inventory.json, if it left one.
	Inventory json.RawMessage `json:"inventory,omitempty"`
}

// CaptureNoReboot is a Report.Capture after which the file systems of the image may be
// inconsistent.
const CaptureNoReboot = "no-reboot"

// Phase is the duration of a step.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	// WaitedSeconds is the time spent waiting for AWS; of concurrent waits in
	// several regions, the longest counts. Questions is the number of requests.
	WaitedSeconds float64 `json:"waited_seconds,omitempty"`
	Questions     int     `json:"questions,omitempty"`
	// OvershootSeconds is the most by which the longest wait can have outlasted the
	// operation: the time between its last two responses.
	OvershootSeconds float64 `json:"overshoot_seconds,omitempty"`
}

// Seconds returns a duration in seconds, rounded to milliseconds.
func Seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// leastBilled is the shortest time that EC2 bills a Linux instance for
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/concepts.html#per-second-billing).
const leastBilled = 60 * time.Second

// Bill records how long the instance was running, the only state that EC2 bills,
// and its cost.
func (r *Report) Bill(running time.Duration) {
	r.BilledSeconds = math.Ceil(running.Seconds())
	if r.PricePerHourUSD > 0 {
		r.CostUSD = math.Round(max(running, leastBilled).Hours()*r.PricePerHourUSD*10000) / 10000
	}
}

// JSON returns the report as the text under StateBuild.
func (r *Report) JSON() (string, error) {
	text, err := json.Marshal(r)
	return string(text), err
}

// Decode returns the report under the state key StateBuild of an artifact. It ignores
// errors, as another builder may use this key for something else.
func Decode(state any) (r Report) {
	if text, ok := state.(string); ok {
		_ = json.Unmarshal([]byte(text), &r)
	}
	return r
}
