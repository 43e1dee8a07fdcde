// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package gpu

import (
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
)

// Config is what a user writes in a provisioner "ethminer-gpu" block.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	ProvisionConfig     `mapstructure:",squash"`
	GateConfig          `mapstructure:",squash"`

	// Where the miner's source comes from: a local folder that holds a
	// CMakeLists.txt, which is uploaded without its `.git` and without build
	// folders; the URL of a git repository, which the instance clones with its
	// submodules; or a tarball, a local file or a URL that ends with `.tar.gz`,
	// `.tgz`, `.tar.xz` or `.tar.bz2`. Defaults to upstream ethminer's
	// repository on GitHub, which is edited so that it builds on a current
	// Ubuntu.
	Source string `mapstructure:"source" required:"false"`
	// The commit to build, as its full 40 hexadecimal digits. A branch or a tag
	// is taken with a warning, since it can move. Required when `source` is a
	// git URL; defaults to `ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9`
	// (0.19.0-17) when `source` is empty. Not allowed with anything else.
	SourceRef string `mapstructure:"source_ref" required:"false"`
	// More options for the run of `cmake` that configures the build, each in
	// one string, such as `"-DETHASHCL=ON"`. They come after the plugin's own
	// (Hunter, OpenCL and DBus off, CUDA or CPU by the device, a release
	// build, the compute capability of the GPU) and so win over them.
	CMakeOptions []string `mapstructure:"cmake_options" required:"false"`
	// The file name of the program that the build makes, without a folder. It
	// is installed as `/usr/local/bin/ethminer` whatever its name. Defaults to
	// `ethminer`.
	BinaryName string `mapstructure:"binary_name" required:"false"`
	// What to mine on: `cuda`, `cpu` or `auto`, which is `cuda` where the
	// instance has an NVIDIA GPU, and else `cpu`. On Ubuntu a driver and a CUDA
	// toolkit that are not there are installed; elsewhere a GPU without them is
	// an error under `auto` too: an image that mines on the CPU is not what was
	// meant. Defaults to `auto`.
	Device string `mapstructure:"device" required:"false"`
	// The block whose DAG the benchmark uses, 1 or more. An epoch has 30000
	// blocks, for `coin = "etc"` 60000, and the DAG grows by 8 MiB an epoch.
	// Measure at the size that you will mine at: GPUs lose much of their rate on
	// large DAGs. Defaults to an estimate of where the coin's chain is at the
	// end of 2026: `24300000` for `etc` (epoch 405, 4.16 GiB), `24600000` for
	// `ethw` (epoch 820, 7.41 GiB); `11700000` (epoch 390, 4.05 GiB) for
	// `custom`. The report says which epoch it was.
	BenchmarkBlock int `mapstructure:"benchmark_block" required:"false"`
	// How long the miner may take from its start to its first rate above zero;
	// making the DAG is most of it. From `1s` to `1h`. Defaults to `5m`.
	BenchmarkStartTimeout string `mapstructure:"benchmark_start_timeout" required:"false"`
	// How long the miner runs at most, after its first rate above zero, before
	// anything is measured. It ends earlier where the rate is stable: where the
	// medians of the last five status lines and of the five before them, a line a
	// second, differ by less than 2 %. From `0s` to `1h`. Defaults to `30s`.
	BenchmarkWarmup string `mapstructure:"benchmark_warmup" required:"false"`
	// How long is measured after the warm-up. From `1s` to `1h`. Defaults to
	// `1m`. The benchmark never takes longer than `benchmark_start_timeout`,
	// `benchmark_warmup`, `benchmark_duration` and a minute together.
	BenchmarkDuration string `mapstructure:"benchmark_duration" required:"false"`
	// Whether the miner's API is asked while it is measured, on a port of
	// loopback, so that the rates of its log and of its API are held against each
	// other: on GPUs the build fails where they differ by more than a tenth, over
	// three answers or more. A miner whose API does not answer is measured by its
	// log alone. `false` leaves
	// `--api-bind` out, for miners that do not know it. Defaults to `true`.
	BenchmarkAPI config.Trilean `mapstructure:"benchmark_api" required:"false"`
	// Whether the systemd unit `ethminer.service` is enabled. It is always
	// installed, and starts only where `/etc/ethminer/ethminer.conf` exists,
	// which an instance writes at boot (`ETHMINER_ARGS="-U -P ..."`): wallet
	// and pool are never part of the image. Defaults to `true`.
	Service config.Trilean `mapstructure:"service" required:"false"`
	// A local file that gets a copy of `/etc/ethminer/benchmark.json`, also
	// when the rate is too low. Its folder is created. By default no copy is
	// kept.
	ReportFile string `mapstructure:"report_file" required:"false"`
	// Whether steps that need it run as root through `sudo -n` when the login
	// user is not root. The source is always fetched and built, and the
	// benchmark run, as the login user. Defaults to `true`.
	ExecuteAsRoot config.Trilean `mapstructure:"execute_as_root" required:"false"`

	// A pool that the miner is to mine at, after the gate, until one share is
	// accepted: see [the pool check](#the-pool-check). By default no pool is
	// needed, and none is asked.
	PoolCheck *PoolCheck `mapstructure:"pool_check" required:"false"`

	ctx    interpolate.Context
	parsed settings
}
