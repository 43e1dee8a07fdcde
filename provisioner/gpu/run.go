// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// run is the state of one Provision call.
type run struct {
	config  *config.Config
	ui      phaseUI
	machine *remote.Machine
	now     func() time.Time
	status  status // of the phase that runs

	found detected
	// stamps are those of earlier runs, keys are the current values.
	stamps, keys map[string]string
	sourceHash   string // of a local source, or ""
	libraries    []dependency
	built        built
	report       miner.Report
	watch        *benchmark.Watch
	observed     benchmark.Observed
	port         int // of the miner's API during the benchmark, 0 before
	// withoutUnit is the reason why the miner did not run from its unit, or "".
	withoutUnit string
	// rebootPatience limits a reboot.
	rebootPatience time.Duration
}

// detected describes the instance.
type detected struct {
	distribution, kernel, arch, cpu string
	instanceType                    string // EC2's, "" elsewhere
	cores, freeMB                   int
	usedKB                          int                // of the root volume
	gpus                            []string           // names, one per GPU
	compute                         []string           // "75" for capability 7.5; what to build for
	driver                          string             // loaded version, or ""
	toolkits                        []nvidia.Installed // CUDA toolkits, without duplicates
	toolkit                         nvidia.Installed   // the one to build with: see cuda.go
	hostCompiler                    string             // path of one that nvcc supports, "" for the system's
	pciGPUs                         int                // NVIDIA GPUs on the PCI bus, with or without a driver
	instanceStore                   []string           // disks
	device                          string             // miner.DeviceCPU or miner.DeviceCUDA
	installed                       string             // SHA-256 of the installed miner, or ""
	version                         string             // the version that it prints
	report                          string             // benchmark.json, base64
}

// built describes source and build for the report and the inventory.
type built struct {
	Commit     string   `json:"commit,omitempty"`
	Submodules []string `json:"submodules,omitempty"`
	Libraries  []string `json:"libraries,omitempty"`
	Edits      []string `json:"edits,omitempty"`
}

// dependency is a library that no distribution packages in the required version.
// cmake is its name in find_package.
type dependency struct{ name, cmake, url, algorithm, hash string }

// withCUDA reports whether the miner is built for CUDA.
func (r *run) withCUDA() bool { return r.found.device == miner.DeviceCUDA }

// coin returns the coin to mine.
func (r *run) coin() miner.Coin { return miner.Coin(r.config.Coin) }

// note records a value on the instance: in the image or in the scratch folder.
func (r *run) note(ctx context.Context, name, value, where string) error {
	_, err := r.machine.Run(ctx, remote.Script{
		Name:   "stamp",
		Args:   []string{name, value, where},
		AsRoot: where == "image",
		Bound:  time.Minute,
	})
	return err
}

// took formats a rounded duration: "0.4s", "12.3s", "3m5s".
func took(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
