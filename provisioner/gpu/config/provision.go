// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package config

import (
	"github.com/hashicorp/packer-plugin-sdk/template/config"
)

// ProvisionConfig holds the options for building and installing the miner.
type ProvisionConfig struct {
	// The phases to run, in any order; `detect` always runs. By default all
	// phases run: `detect`, `driver`, `toolkit`, `source`, `edits`, `cuda` (with
	// a GPU), `configure`, `build`, `install`, `benchmark`, `gate`, `pool` (with
	// a `pool_check`), `clean`. Omit the last phases to stop early, or other
	// phases to do their work yourself. Without `clean` the scratch folder
	// remains, and a later run of the same provisioner resumes from it.
	Phases []string `mapstructure:"phases" required:"false"`
	// The SHA-256 sum of the tarball in `source`, as 64 hexadecimal digits.
	// Required for a tarball, not allowed for other kinds of source.
	SourceChecksum string `mapstructure:"source_checksum" required:"false"`
	// Local patch files, applied to the source in order with `patch -p1` after
	// the plugin's own edits. By default no patches are applied.
	Patches []string `mapstructure:"patches" required:"false"`
	// Names of the plugin's source edits to skip, as the phase `edits` prints
	// them, such as `"cstdint"`. By default no edit is skipped.
	SkipEdits []string `mapstructure:"skip_edits" required:"false"`
	// Shell commands that build a miner which does not use CMake. They run in
	// order in the top folder of the source and replace the plugin's edits,
	// `cmake` and `cmake --build`. The program must be named `binary_name` and be
	// in or below that folder. By default the miner is built with CMake.
	BuildCommands []string `mapstructure:"build_commands" required:"false"`
	// Additional packages that the build requires, such as `"libfmt-dev"`.
	// `clean` removes them and their dependencies, except libraries that the
	// miner is linked against. Boost, jsoncpp and OpenSSL need not be listed:
	// they are installed if the source looks for them with CMake. By default no
	// additional packages are installed.
	BuildPackages []string `mapstructure:"build_packages" required:"false"`
	// Additional EC2 instance types or families that the miner must run on, such
	// as `["g4dn", "g5"]`. One program is built for the compute capability of
	// each. By default the miner is built for the GPU of the build instance only
	// and does not run on other GPU generations.
	GPUTypes []string `mapstructure:"gpu_types" required:"false"`
	// The NVIDIA driver branch to install if the image has no driver, `535` or
	// later. Defaults to `580`, the last branch that supports the V100 of p3.
	DriverBranch int `mapstructure:"driver_branch" required:"false"`
	// The version of the CUDA toolkit to build with, such as `"12.9"`. Defaults
	// to the newest toolkit of the image that is compatible with the source, the
	// GPUs and the driver: up to CUDA 12 for a source that uses CMake's FindCUDA,
	// as upstream ethminer does. If the image has no compatible toolkit, 12.9 is
	// downloaded on Ubuntu. A downloaded toolkit is never part of the image.
	CUDAVersion string `mapstructure:"cuda_version" required:"false"`
	// The maximum time for the reboot that a new driver can require. From `10s`
	// to `1h`. Defaults to `15m`.
	RebootTimeout string `mapstructure:"reboot_timeout" required:"false"`
	// Whether `clean` prepares the image for sharing, by [AWS's
	// guide](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/building-shared-amis.html).
	// It then also removes SSH host keys, authorized keys, the machine ID, shell
	// histories, logs and cloud-init's state. New logins to the build instance
	// fail afterwards, so this must be the last provisioner that opens a
	// connection. Defaults to `true`.
	Shareable config.Trilean `mapstructure:"shareable" required:"false"`
	// The coin to mine: `etc` (Ethereum Classic, Etchash), `ethw` (EthereumPoW,
	// Ethash) or `custom` (whatever the unmodified source mines). For `etc`,
	// upstream's source and the library ethash are edited: unmodified, they would
	// mine at twice the epoch, and the pool would reject every share. A source
	// that neither supports Etchash nor can be edited is an error. With `custom`,
	// upstream ethminer mines Ethash, and a warning is printed, since EthereumPoW
	// is the only active Ethash coin. Defaults to `custom`.
	Coin string `mapstructure:"coin" required:"false"`
}
