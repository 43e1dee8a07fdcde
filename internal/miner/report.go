// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// ReportSchema is the version of the report's JSON. It grows by one when a
// field changes its meaning or goes away; new fields leave it as it is.
const ReportSchema = 1

// ReportPath is where an image carries its report.
const ReportPath = "/etc/ethminer/benchmark.json"

// Device kinds of a report.
const (
	DeviceCPU  = "cpu"
	DeviceCUDA = "cuda"
)

// Verdicts of a report.
const (
	VerdictPassed = "passed"
	VerdictFailed = "failed"
)

// Report is what /etc/ethminer/benchmark.json holds: one benchmark and what it
// was measured on. Rates are hashes a second.
type Report struct {
	// SchemaVersion is ReportSchema.
	SchemaVersion int `json:"schema_version"`
	// Miner is the first line that the miner's -V prints.
	Miner string `json:"miner"`
	// Reference is true when the miner is the stand-in of a rehearsal.
	Reference bool `json:"reference_miner"`
	// Source is the folder or the URL, with commit, that was built.
	Source string `json:"source"`
	// Device is "cpu" or "cuda": what mined.
	Device string `json:"device"`
	// CPU is the processor's model, as the kernel names it.
	CPU string `json:"cpu"`
	// GPUs are the names of the GPUs, one each; empty for "cpu".
	GPUs []string `json:"gpus"`
	// Algorithm is "Ethash" or "Etchash".
	Algorithm string `json:"algorithm"`
	// Block is the block number of the benchmark.
	Block uint64 `json:"block"`
	// Epoch is the block's epoch in that algorithm.
	Epoch uint64 `json:"epoch"`
	// DAGBytes is the size of that epoch's dataset.
	DAGBytes uint64 `json:"dag_bytes"`
	// DAGSeconds is how long the slowest device took to make it, 0 where the
	// miner does not say.
	DAGSeconds float64 `json:"dag_seconds"`
	// WarmupSeconds is how long the miner ran from its first rate to the window,
	// and Stable whether its rate had come to rest then.
	WarmupSeconds float64 `json:"warmup_seconds"`
	Stable        bool    `json:"stable"`
	// WindowSeconds is how long was measured, after the warm-up.
	WindowSeconds float64 `json:"window_seconds"`
	// Samples is how many status lines the window held.
	Samples int `json:"samples"`
	// Hashrate is the median of the samples; Min and Max are their bounds.
	Hashrate Rate `json:"hashrate_hs"`
	Min      Rate `json:"hashrate_min_hs"`
	Max      Rate `json:"hashrate_max_hs"`
	// P5 and P95 are the samples' 5th and 95th percentiles, Variation their
	// coefficient of variation (standard deviation over mean).
	P5        Rate    `json:"hashrate_p5_hs"`
	P95       Rate    `json:"hashrate_p95_hs"`
	Variation float64 `json:"variation"`
	// Last is the greatest of the last five samples: 0 says that the miner has
	// stopped. SilentSeconds is how long before the window's end it was heard
	// last, and Failures are its lines within the window that name why a device
	// cannot mine.
	Last          Rate     `json:"hashrate_last_hs"`
	SilentSeconds float64  `json:"silent_seconds"`
	Failures      []string `json:"failures"`
	// Limit is the rate that the memory bandwidth of the GPUs allows by their
	// data sheets, 0 where that is not known; LimitShare is Hashrate over it.
	Limit      Rate    `json:"limit_hs"`
	LimitShare float64 `json:"limit_share"`
	// APIHashrate is the median of APISamples answers of the miner's API within
	// the window, in steps of APIStep; 0 where it did not answer.
	APIHashrate Rate `json:"api_hashrate_hs"`
	APISamples  int  `json:"api_samples"`
	APIStep     Rate `json:"api_step_hs"`
	// Devices are the devices that the miner's lines have named, by name.
	Devices []DeviceReport `json:"devices"`
	// PowerW is what the devices take together, in watts, and MhPerJoule what
	// they make of it, in megahashes; 0 where that is not known of each.
	PowerW     float64 `json:"power_w"`
	MhPerJoule float64 `json:"mh_per_joule"`
	// Xids are the lines about errors of the GPUs that the kernel's log has got
	// during the benchmark.
	Xids []string `json:"xids"`
	// Accepted, Rejected and Incorrect count solutions over the whole run, the
	// warm-up too.
	Accepted  uint64 `json:"accepted"`
	Rejected  uint64 `json:"rejected"`
	Incorrect uint64 `json:"incorrect"`
	// Pool is the host and port of the pool that has accepted a share, "" where
	// none was asked, and PoolSeconds how long that took from the miner's start.
	Pool        string  `json:"pool"`
	PoolSeconds float64 `json:"pool_seconds"`
	// Floor is what min_hashrate asked for, 0 without one.
	Floor Rate `json:"min_hashrate_hs"`
	// FloorPerGPU, LeastLimitShare and MostVariation are what
	// min_hashrate_per_gpu, min_limit_share and max_variation asked for, 0
	// without them.
	FloorPerGPU     Rate    `json:"min_hashrate_per_gpu_hs"`
	LeastLimitShare float64 `json:"min_limit_share"`
	MostVariation   float64 `json:"max_variation"`
	// Verdict is "passed" or "failed".
	Verdict string `json:"verdict"`
	// StartedAt is when the miner was started, in UTC, by the clock of the
	// machine that runs Packer.
	StartedAt time.Time `json:"started_at"`
}

// DeviceReport is one device's part of a benchmark.
type DeviceReport struct {
	// Name is as the miner prints it: cu0, cl1, cp0, gpu0.
	Name string `json:"name"`
	// Samples is how many status lines of the window named it.
	Samples int `json:"samples"`
	// Hashrate is the median, P5 and P95 are percentiles, Variation is the
	// coefficient of variation.
	Hashrate  Rate    `json:"hashrate_hs"`
	P5        Rate    `json:"hashrate_p5_hs"`
	P95       Rate    `json:"hashrate_p95_hs"`
	Variation float64 `json:"variation"`
	// Last is the greatest rate in the last five status lines.
	Last Rate `json:"hashrate_last_hs"`
	// TempC is the greatest temperature in degrees Celsius, PowerW the median of
	// the watts that were drawn, ClockMHz and MemoryClockMHz are the medians of
	// the clocks; all of them within the window, by nvidia-smi or for want of it
	// as the miner told last, 0 where neither does.
	TempC          float64 `json:"temperature_c"`
	PowerW         float64 `json:"power_w"`
	ClockMHz       float64 `json:"clock_mhz"`
	MemoryClockMHz float64 `json:"memory_clock_mhz"`
	// SlowedBy are the reasons why clocks were lowered within the window, and
	// Hot says that heat is among them.
	SlowedBy []string `json:"slowed_by"`
	Hot      bool     `json:"hot"`
	// MhPerJoule is Hashrate over PowerW, in megahashes a joule.
	MhPerJoule float64 `json:"mh_per_joule"`
}

// Energy fills in what follows from the devices' power.
func (r *Report) Energy() {
	r.PowerW, r.MhPerJoule = 0, 0
	known := len(r.Devices) > 0
	for i := range r.Devices {
		d := &r.Devices[i]
		d.MhPerJoule = 0
		if d.PowerW > 0 {
			d.MhPerJoule = float64(d.Hashrate) / 1e6 / d.PowerW
		}
		known = known && d.PowerW > 0
		r.PowerW += d.PowerW
	}
	if !known {
		r.PowerW = 0
		return
	}
	r.MhPerJoule = float64(r.Hashrate) / 1e6 / r.PowerW
}

// Encode writes the report as indented JSON that ends in a newline.
func (r Report) Encode() ([]byte, error) {
	if r.GPUs == nil {
		r.GPUs = []string{}
	}
	if r.Devices == nil {
		r.Devices = []DeviceReport{}
	}
	if r.Failures == nil {
		r.Failures = []string{}
	}
	if r.Xids == nil {
		r.Xids = []string{}
	}
	r.Devices = slices.Clone(r.Devices)
	for i := range r.Devices {
		if r.Devices[i].SlowedBy == nil {
			r.Devices[i].SlowedBy = []string{}
		}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the benchmark: %w", err)
	}
	return append(data, '\n'), nil
}

// DecodeReport reads a report. Fields that it does not know are skipped; a
// schema newer than ReportSchema is an error.
func DecodeReport(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, fmt.Errorf("decoding the benchmark: %w", err)
	}
	if r.SchemaVersion < 1 || r.SchemaVersion > ReportSchema {
		return Report{}, fmt.Errorf("decoding the benchmark: schema_version %d, expected 1 to %d: it was written by another version of the plugin", r.SchemaVersion, ReportSchema)
	}
	return r, nil
}

// Measured says what a rate was measured on, for people:
// "CPU: <model>, epoch 0, 10 s window, reference miner".
func (r Report) Measured() string {
	device := "CPU: " + r.CPU
	if r.Device == DeviceCUDA {
		device = "GPU: " + countNames(r.GPUs)
	}
	name := r.Miner
	if r.Reference {
		name = "reference miner"
	}
	return fmt.Sprintf("%s, epoch %d, %s window, %s", device, r.Epoch, r.Window(), name)
}

// Window is the window's length for people, to a tenth of a second: "10 s".
func (r Report) Window() string {
	return strconv.FormatFloat(math.Round(r.WindowSeconds*10)/10, 'f', -1, 64) + " s"
}

// DAG names the size at which was measured, for people:
// "block 11700000, epoch 390, a DAG of 4.05 GiB".
func (r Report) DAG() string {
	return fmt.Sprintf("block %d, epoch %d, a DAG of %.2f GiB", r.Block, r.Epoch, float64(r.DAGBytes)/(1<<30))
}

// countNames writes equal names once: "4 x Tesla T4, NVIDIA L4".
func countNames(names []string) string {
	if len(names) == 0 {
		return "unknown"
	}
	var text string
	for i := 0; i < len(names); {
		n := 1
		for i+n < len(names) && names[i+n] == names[i] {
			n++
		}
		if text != "" {
			text += ", "
		}
		if n > 1 {
			text += fmt.Sprintf("%d x ", n)
		}
		text += names[i]
		i += n
	}
	return text
}
