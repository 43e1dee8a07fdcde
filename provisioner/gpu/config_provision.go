// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package gpu

import (
	"github.com/hashicorp/packer-plugin-sdk/template/config"
)

// ProvisionConfig says how an instance comes to its miner, and what stays of it.
type ProvisionConfig struct {
	// The phases to run, in any order; `detect` always runs. By default all:
	// `detect`, `driver`, `toolkit`, `source`, `edits`, `configure`, `build`,
	// `install`, `benchmark`, `gate`, `pool` (where there is a `pool_check`),
	// `clean`. Leave out the last ones to stop
	// early, others to do their work yourself. Without `clean` the scratch
	// folder stays, and a later run of the same provisioner goes on from it.
	Phases []string `mapstructure:"phases" required:"false"`
	// The SHA-256 sum of the tarball that `source` names, as 64 hexadecimal
	// digits. Required for a tarball, not allowed for anything else.
	SourceChecksum string `mapstructure:"source_checksum" required:"false"`
	// Local patch files, applied to the source in their order with `patch -p1`
	// after the plugin's own edits.
	Patches []string `mapstructure:"patches" required:"false"`
	// Names of the plugin's edits of the source to leave out, as the phase
	// `edits` prints them, such as `"cstdint"`.
	SkipEdits []string `mapstructure:"skip_edits" required:"false"`
	// Shell commands that build the miner, run one after the other in the top
	// folder of the source in the place of the plugin's edits, `cmake` and
	// `cmake --build`: for a source that is built in another way. The program
	// is looked for as `binary_name` below that folder.
	BuildCommands []string `mapstructure:"build_commands" required:"false"`
	// More packages that the build needs, such as `"libfmt-dev"`; what they
	// bring is taken away again by `clean`, but for the libraries that the
	// miner is linked with. A repository or tarball whose name has `ethminer`
	// in it gets Boost, jsoncpp and OpenSSL without being asked.
	BuildPackages []string `mapstructure:"build_packages" required:"false"`
	// EC2 instance types or families that the miner is to run on too, such as
	// `["g4dn", "g5"]`: it is built for the compute capability of each, in one
	// program. By default it is built for the GPU that is there, and mines on
	// no other generation.
	GPUTypes []string `mapstructure:"gpu_types" required:"false"`
	// The branch of NVIDIA's driver that is installed where there is none. From
	// `535`. Defaults to `580`, which is the last that knows the V100 of p3.
	DriverBranch int `mapstructure:"driver_branch" required:"false"`
	// The version of the CUDA toolkit that is fetched where there is none, as
	// in `"12.9"`, the default. It is used for the build and never part of the
	// image.
	CUDAVersion string `mapstructure:"cuda_version" required:"false"`
	// How long the instance may take to come back from the reboot that a new
	// driver can need. From `10s` to `1h`. Defaults to `15m`.
	RebootTimeout string `mapstructure:"reboot_timeout" required:"false"`
	// Whether `clean` makes the image fit to be shared, by [AWS's
	// guide](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/building-shared-amis.html):
	// SSH host keys, authorized keys, machine id, shell histories, logs and
	// cloud-init's state go too. Nobody can log in anew afterwards until an
	// instance is launched from the image, so that this must be the last
	// provisioner that makes a connection. Defaults to `true`.
	Shareable config.Trilean `mapstructure:"shareable" required:"false"`
	// What is to be mined: `etc` (Ethereum Classic, Etchash), `ethw`
	// (EthereumPoW, Ethash) or `custom` (what the source mines as it stands).
	// For `etc` upstream's source and the library ethash are edited: as they
	// stand they would mine at twice the epoch, and every share would be
	// rejected. A source that neither knows Etchash nor can be edited is
	// refused. Defaults to `custom`.
	Coin string `mapstructure:"coin" required:"false"`
}
