// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package config

// GateConfig holds the minimum benchmark results for a build to pass. A rate of
// zero, a GPU that does not mine, and rejected or incorrect solutions always
// fail.
type GateConfig struct {
	// The minimum hash rate of all GPUs together, as a number and a unit per
	// second: `h`, `Kh`, `Mh`, `Gh` or `Th`, in steps of 1000, such as
	// `"25 Mh/s"`. It is compared with the median over the measurement window.
	// By default every rate above zero passes.
	MinHashrate string `mapstructure:"min_hashrate" required:"false"`
	// The minimum hash rate of each GPU, such as `"24 Mh/s"`. Ignored on a CPU.
	// Not set by default.
	MinHashratePerGPU string `mapstructure:"min_hashrate_per_gpu" required:"false"`
	// The minimum hash rate as a fraction of the memory bandwidth limit, from 0
	// to 1. Each hash reads 8192 bytes at random addresses, so the limit of a T4
	// (320 GB/s) is 39.1 Mh/s. Good miners reach 0.6 to 0.9. If the build has an
	// nvcc, the bandwidth is measured for one second before the benchmark.
	// Otherwise it is the data sheet's value, for GPUs and EC2 instance types
	// that the plugin knows. The report contains the source of the limit. A rate
	// above what the memory allows always fails. Not set by default.
	MinLimitShare float64 `mapstructure:"min_limit_share" required:"false"`
	// The maximum coefficient of variation of the rate over the window, from 0
	// to 1: `0.05` allows a standard deviation of 5 % of the mean. A higher value
	// indicates GPU throttling or a noisy neighbor. Not set by default.
	MaxVariation float64 `mapstructure:"max_variation" required:"false"`
}
