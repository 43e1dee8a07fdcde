// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

// Package config holds the options of the provisioner ethminer-gpu and checks them.
package config

import (
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poolcheck"
)

// Config holds the options of a provisioner "ethminer-gpu" block.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	ProvisionConfig     `mapstructure:",squash"`
	GateConfig          `mapstructure:",squash"`

	// The miner's source, in one of three forms: a local folder with a
	// CMakeLists.txt, which is uploaded without `.git` and build folders; the
	// URL of a git repository, which the instance clones with its submodules;
	// or a tarball, as a local file or a URL that ends with `.tar.gz`, `.tgz`,
	// `.tar.xz` or `.tar.bz2`. Defaults to upstream ethminer's repository on
	// GitHub, which the plugin edits so that it builds on a current Ubuntu.
	Source string `mapstructure:"source" required:"false"`
	// The commit to build, as the full hash of 40 hexadecimal digits. A branch
	// or a tag is accepted with a warning, since it can move. Required when
	// `source` is a git URL; defaults to
	// `ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9` (0.19.0-17) when `source` is
	// not set. Not allowed with other kinds of source.
	SourceRef string `mapstructure:"source_ref" required:"false"`
	// Additional options for the `cmake` command that configures the build, one
	// per string, such as `"-DETHASHCL=ON"`. They follow the plugin's own options
	// and override them. The plugin sets a release build, disables Hunter, OpenCL
	// and DBus, enables CUDA or CPU by the device, and sets the compute
	// capability of the GPU. By default there are no additional options.
	CMakeOptions []string `mapstructure:"cmake_options" required:"false"`
	// The file name, without a folder, of the program that the build produces.
	// It is always installed as `/usr/local/bin/ethminer`. Defaults to
	// `ethminer`.
	BinaryName string `mapstructure:"binary_name" required:"false"`
	// The device to mine on: `cuda`, `cpu` or `auto`. `auto` selects `cuda` if
	// the instance has an NVIDIA GPU, otherwise `cpu`. On Ubuntu a missing driver
	// or CUDA toolkit is installed. On other distributions a GPU without them is
	// an error, also with `auto`, so that the image never falls back to the CPU
	// unnoticed. Defaults to `auto`.
	Device string `mapstructure:"device" required:"false"`
	// The block whose DAG the benchmark uses, 1 or more. An epoch has 30000
	// blocks (60000 for `coin = "etc"`), and the DAG grows by 8 MiB per epoch.
	// Use the DAG size that you will mine at: the hash rate of a GPU drops
	// considerably on large DAGs. Defaults to an estimate of the coin's chain at
	// the end of 2026: `26160000` for `etc` (epoch 436, 4.41 GiB) and `24600000`
	// for `ethw` (epoch 820, 7.41 GiB); `11700000` (epoch 390, 4.05 GiB) for
	// `custom`. The report contains the epoch.
	BenchmarkBlock int `mapstructure:"benchmark_block" required:"false"`
	// The maximum time from the start of the miner to its first rate above zero.
	// Most of it is spent on DAG generation. From `1s` to `1h`. Defaults to `5m`.
	BenchmarkStartTimeout string `mapstructure:"benchmark_start_timeout" required:"false"`
	// The maximum warm-up time between the first rate above zero and the start
	// of the measurement. The warm-up ends early once the rate is stable: the
	// median of the last three collections of rates differs from the median of
	// the three before by less than 2 %. ethminer collects rates every 5 s. From
	// `0s` to `1h`. Defaults to `1m`.
	BenchmarkWarmup string `mapstructure:"benchmark_warmup" required:"false"`
	// The length of the measurement window after the warm-up. From `1s` to `1h`.
	// Defaults to `2m`, which is 24 collections of ethminer: enough for the 5th
	// and 95th percentiles in the report. The benchmark never takes longer than
	// the sum of `benchmark_start_timeout`, `benchmark_warmup`,
	// `benchmark_duration` and one minute.
	BenchmarkDuration string `mapstructure:"benchmark_duration" required:"false"`
	// Whether to query the miner's API, on a loopback port, during the
	// measurement and compare its rate with the rate in the log. On GPUs the
	// build fails if the two differ by more than 10 % over three or more
	// responses. If the API does not respond, the rate comes from the log only.
	// `false` omits `--api-bind`, for miners that do not support it. Defaults to
	// `true`.
	BenchmarkAPI config.Trilean `mapstructure:"benchmark_api" required:"false"`
	// Whether to enable the systemd unit `ethminer.service`. The unit is always
	// installed. It starts only if `/etc/ethminer/ethminer.conf` exists, which
	// an instance writes at boot (`ETHMINER_ARGS="-U -P ..."`): wallet and pool
	// are never part of the image. Defaults to `true`.
	Service config.Trilean `mapstructure:"service" required:"false"`
	// The path of a local copy of `/etc/ethminer/benchmark.json`. The copy is
	// written even if the rate is too low, and its folder is created. A path that
	// cannot be written is an error before the build; if the write fails later,
	// such as on a full disk, it is a warning. By default no copy is written.
	ReportFile string `mapstructure:"report_file" required:"false"`
	// Whether steps that require root run through `sudo -n` when the login user
	// is not root. Fetching and building the source always run as the login
	// user. Defaults to `true`.
	ExecuteAsRoot config.Trilean `mapstructure:"execute_as_root" required:"false"`

	// A pool at which the miner mines after the gate until the pool accepts one
	// share: see [pool check](#pool-check). By default no pool is contacted.
	PoolCheck *poolcheck.PoolCheck `mapstructure:"pool_check" required:"false"`

	ctx    interpolate.Context
	parsed Settings
}

// Settings returns the parsed options.
func (c *Config) Settings() Settings { return c.parsed }
