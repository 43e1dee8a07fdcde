// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"encoding/json"
	"math"
	"time"
)

// report is what a build tells the components behind it, as one JSON string
// under the artifact's state key StateBuild: a plain string crosses the plugin
// RPC unharmed. Fields are only ever added.
type report struct {
	BuildID       string `json:"build_id"`
	PluginVersion string `json:"plugin_version"`
	// Rehearsal says that AWS was simulated: no id means anything in an account.
	Rehearsal   bool   `json:"rehearsal"`
	BuildRegion string `json:"build_region"`
	// Regions are those that the build was to reach.
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
	// PricePerHourUSD is what the instance cost an hour when it was launched,
	// where that is known, and PriceSource who says so.
	PricePerHourUSD float64 `json:"price_per_hour_usd,omitempty"`
	PriceSource     string  `json:"price_source,omitempty"`
	// SpotReclaims is how many instances EC2 took back before this one, and
	// ReclaimedSeconds how long they had run.
	SpotReclaims     int `json:"spot_reclaims,omitempty"`
	ReclaimedSeconds int `json:"reclaimed_seconds,omitempty"`
	// InstanceSeconds is from RunInstances' answer to the request to terminate.
	InstanceSeconds int `json:"instance_seconds,omitempty"`
	// BilledSeconds is how long it was running, which is what EC2 bills, and
	// CostUSD what that comes to at PricePerHourUSD, without its volumes.
	BilledSeconds float64 `json:"billed_seconds,omitempty"`
	CostUSD       float64 `json:"cost_usd,omitempty"`
	// Images and Snapshots are by region.
	Images    map[string]string   `json:"images,omitempty"`
	Snapshots map[string][]string `json:"snapshots,omitempty"`
	// Resumed says that an earlier run of the build (build_id) made a part of it.
	Resumed bool `json:"resumed,omitempty"`
	// CopiedFrom is "region:ami-..." where the image was only copied (source_ami_from).
	CopiedFrom string `json:"copied_from,omitempty"`
	// Phases are the steps of this run in their order.
	Phases []phase `json:"phases,omitempty"`
	// FailedRegions are those that on_copy_failure = "keep" went without, and why.
	FailedRegions map[string]string `json:"failed_regions,omitempty"`
	// Benchmark is the instance's /etc/ethminer/benchmark.json, if it left one.
	Benchmark json.RawMessage `json:"benchmark,omitempty"`
	// Inventory is the instance's /etc/ethminer/inventory.json, if it left one.
	Inventory json.RawMessage `json:"inventory,omitempty"`

	launched time.Time
	runs     time.Time // running since then, zero if it is not
}

// phase is how long a step took.
type phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	// WaitedSeconds is how much of it was spent waiting for AWS, by the longest
	// of the waits in several regions, and Questions how often they asked.
	WaitedSeconds float64 `json:"waited_seconds,omitempty"`
	Questions     int     `json:"questions,omitempty"`
}

// seconds are a duration's, to the millisecond.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

func (r report) json() (string, error) {
	text, err := json.Marshal(r)
	return string(text), err
}
