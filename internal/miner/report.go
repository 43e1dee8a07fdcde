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

// ReportSchema is the version of the report's JSON. It increases when a field changes
// its meaning or is removed, not when a field is added.
const ReportSchema = 1

// ReportPath is the path of the report on an image.
const ReportPath = "/etc/ethminer/benchmark.json"

// Device kinds of a report.
const (
	DeviceCPU  = "cpu"
	DeviceCUDA = "cuda"
)

// Sources of a report's limit.
const (
	LimitMeasured  = "measured"
	LimitDataSheet = "data sheet"
)

// Verdicts of a report.
const (
	VerdictPassed = "passed"
	VerdictFailed = "failed"
)

// Report is the content of /etc/ethminer/benchmark.json: the results and conditions of
// a benchmark. Rates are in hashes per second.
type Report struct {
	// SchemaVersion is ReportSchema.
	SchemaVersion int `json:"schema_version"`
	// Miner is the first line of the miner's -V.
	Miner string `json:"miner"`
	// Reference is true for the reference miner, which is for rehearsals only.
	Reference bool `json:"reference_miner"`
	// Source is the folder, or the URL and commit, that was built.
	Source string `json:"source"`
	// Device is "cpu" or "cuda".
	Device string `json:"device"`
	// CPU is the processor model as the kernel reports it.
	CPU string `json:"cpu"`
	// GPUs lists the name of each GPU; empty for "cpu".
	GPUs []string `json:"gpus"`
	// UnderUnit is true if the miner ran from a copy of the installed ethminer.service, with
	// the same user, sandbox and command line.
	UnderUnit bool `json:"under_unit"`
	// Algorithm is "Ethash" or "Etchash".
	Algorithm string `json:"algorithm"`
	// Block is the block number of the benchmark.
	Block uint64 `json:"block"`
	// Epoch is the block's epoch in that algorithm.
	Epoch uint64 `json:"epoch"`
	// DAGBytes is the size of that epoch's dataset.
	DAGBytes uint64 `json:"dag_bytes"`
	// DAGSeconds is the DAG generation time of the slowest device, 0 if the miner
	// does not print it.
	DAGSeconds float64 `json:"dag_seconds"`
	// WarmupSeconds is the time from the first rate to the window, and Stable whether
	// the rate was stable at its end.
	WarmupSeconds float64 `json:"warmup_seconds"`
	Stable        bool    `json:"stable"`
	// WindowSeconds is the length of the measurement window after the warm-up.
	WindowSeconds float64 `json:"window_seconds"`
	// Samples is the number of rate collections in the window. ethminer makes one
	// every 5 s, regardless of what it prints.
	Samples int `json:"samples"`
	// LateCollections is the number of late collections, in which a device showed no
	// rate for some seconds and then continued. They are not part of the samples.
	LateCollections int `json:"late_collections"`
	// Hashrate, Min and Max are the median, minimum and maximum of the samples.
	Hashrate Rate `json:"hashrate_hs"`
	Min      Rate `json:"hashrate_min_hs"`
	Max      Rate `json:"hashrate_max_hs"`
	// P5 and P95 are the samples' 5th and 95th percentiles, Variation their
	// coefficient of variation (standard deviation over mean).
	P5        Rate    `json:"hashrate_p5_hs"`
	P95       Rate    `json:"hashrate_p95_hs"`
	Variation float64 `json:"variation"`
	// Last is the greater of the last two samples: 0 means that the miner has
	// stopped. SilentSeconds is the time from its last status line to the window's
	// end. Failures are its lines since the first rate that report a device failure.
	Last          Rate     `json:"hashrate_last_hs"`
	SilentSeconds float64  `json:"silent_seconds"`
	Failures      []string `json:"failures"`
	// Limit is the rate that the GPU memory bandwidth allows, 0 if unknown;
	// LimitSource is "measured" or "data sheet", and LimitShare is Hashrate / Limit.
	// DataSheetLimit is always by the data sheets.
	Limit          Rate    `json:"limit_hs"`
	LimitSource    string  `json:"limit_source"`
	LimitShare     float64 `json:"limit_share"`
	DataSheetLimit Rate    `json:"data_sheet_limit_hs"`
	// MostPossible is the highest rate that memory and caches can deliver at that DAG,
	// above which a result is implausible; 0 if unknown.
	MostPossible Rate `json:"most_possible_hs"`
	// APIHashrate is the median of APISamples responses of the miner's API within the
	// window, in steps of APIStep; 0 if it did not respond.
	APIHashrate Rate `json:"api_hashrate_hs"`
	APISamples  int  `json:"api_samples"`
	APIStep     Rate `json:"api_step_hs"`
	// Devices lists the devices in the miner's lines, sorted by name.
	Devices []DeviceReport `json:"devices"`
	// PowerW is the total power of the devices in watts, and MhPerJoule the megahashes
	// per joule; 0 if the power of any device is unknown.
	PowerW     float64 `json:"power_w"`
	MhPerJoule float64 `json:"mh_per_joule"`
	// Xids are the GPU errors that the kernel logged during the benchmark.
	Xids []string `json:"xids"`
	// Accepted, Rejected and Incorrect count solutions over the whole run, including
	// the warm-up.
	Accepted  uint64 `json:"accepted"`
	Rejected  uint64 `json:"rejected"`
	Incorrect uint64 `json:"incorrect"`
	// Pool is the host and port of the pool that accepted a share, "" without a pool
	// check, and PoolSeconds the time from the miner's start until then.
	Pool        string  `json:"pool"`
	PoolSeconds float64 `json:"pool_seconds"`
	// Floor is min_hashrate, 0 if not set.
	Floor Rate `json:"min_hashrate_hs"`
	// FloorPerGPU, LeastLimitShare and MostVariation are min_hashrate_per_gpu,
	// min_limit_share and max_variation, 0 if not set.
	FloorPerGPU     Rate    `json:"min_hashrate_per_gpu_hs"`
	LeastLimitShare float64 `json:"min_limit_share"`
	MostVariation   float64 `json:"max_variation"`
	// Verdict is "passed" or "failed".
	Verdict string `json:"verdict"`
	// StartedAt is the start time of the miner in UTC, by the clock of the machine
	// that runs Packer.
	StartedAt time.Time `json:"started_at"`
	// Series has the devices' values over the window, in the order of Devices.
	Series []Series `json:"series"`
}

// MostPoints is the maximum number of points of a series. Of a longer window, evenly
// spaced points are kept.
const MostPoints = 240

// Series is one device's values over the window, for plots.
type Series struct {
	// Device is the device's name.
	Device string `json:"device"`
	// Rates are its samples.
	Rates []RatePoint `json:"rates"`
	// Sensors are the values of nvidia-smi; empty without it.
	Sensors []SensorPoint `json:"sensors"`
}

// RatePoint is a rate at a time, in seconds from the start of the window.
type RatePoint struct {
	Seconds  float64 `json:"seconds"`
	Hashrate Rate    `json:"hashrate_hs"`
}

// SensorPoint holds sensor values at a time, in seconds from the start of the window.
// The temperature is in degrees Celsius, the power in watts; 0 if unknown.
type SensorPoint struct {
	Seconds float64 `json:"seconds"`
	TempC   float64 `json:"temperature_c"`
	PowerW  float64 `json:"power_w"`
}

// DeviceReport is one device's part of a benchmark.
type DeviceReport struct {
	// Name is the name that the miner prints: cu0, cl1, cp0, gpu0.
	Name string `json:"name"`
	// Samples is the number of the window's collections that contain it.
	Samples int `json:"samples"`
	// Hashrate is the median, P5 and P95 are percentiles, Variation is the
	// coefficient of variation.
	Hashrate  Rate    `json:"hashrate_hs"`
	P5        Rate    `json:"hashrate_p5_hs"`
	P95       Rate    `json:"hashrate_p95_hs"`
	Variation float64 `json:"variation"`
	// Last is the greater rate of the last two collections.
	Last Rate `json:"hashrate_last_hs"`
	// TempC is the maximum temperature in degrees Celsius, PowerW the median power in
	// watts; ClockMHz and MemoryClockMHz are the medians of the clocks. The values are
	// those of nvidia-smi within the window, or else the miner's last ones, 0 if
	// unknown.
	TempC          float64 `json:"temperature_c"`
	PowerW         float64 `json:"power_w"`
	ClockMHz       float64 `json:"clock_mhz"`
	MemoryClockMHz float64 `json:"memory_clock_mhz"`
	// SlowedBy lists the reasons for reduced clocks within the window, and Hot reports
	// whether heat is one of them.
	SlowedBy []string `json:"slowed_by"`
	Hot      bool     `json:"hot"`
	// MhPerJoule is Hashrate / PowerW, in megahashes per joule.
	MhPerJoule float64 `json:"mh_per_joule"`
}

// Energy computes the total power and the efficiency from the devices' power.
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

// Encode returns the report as indented JSON with a final newline.
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
	if r.Series == nil {
		r.Series = []Series{}
	}
	r.Series = slices.Clone(r.Series)
	for i := range r.Series {
		if r.Series[i].Rates == nil {
			r.Series[i].Rates = []RatePoint{}
		}
		if r.Series[i].Sensors == nil {
			r.Series[i].Sensors = []SensorPoint{}
		}
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

// DecodeReport parses a report. Unknown fields are ignored; a schema newer than
// ReportSchema is an error.
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

// Measured describes the conditions of the benchmark for messages:
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

// Window formats the window's length, to a tenth of a second: "10 s".
func (r Report) Window() string {
	return strconv.FormatFloat(math.Round(r.WindowSeconds*10)/10, 'f', -1, 64) + " s"
}

// DAG describes the DAG of the benchmark for messages:
// "block 11700000, epoch 390, a DAG of 4.05 GiB".
func (r Report) DAG() string {
	return fmt.Sprintf("block %d, epoch %d, a DAG of %.2f GiB", r.Block, r.Epoch, float64(r.DAGBytes)/(1<<30))
}

// countNames groups equal names: "4 x Tesla T4, NVIDIA L4".
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
