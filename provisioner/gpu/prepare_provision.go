// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/edits"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// oldestBranch is the oldest driver branch that CUDA 12 runs on and Ubuntu has.
const oldestBranch = 535

var (
	packageName = lazyregexp.New("^[a-z0-9][a-z0-9.+-]+$")
	cudaVersion = lazyregexp.New(`^1[1-9]\.[0-9]$`)
)

// checkProvision checks ProvisionConfig but for what belongs to the source.
func (c *Config) checkProvision() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, name := range c.Phases {
		if name != unknown && !slices.Contains(phaseNames(), name) {
			add("phases[%d] %q: expected one of %s", i, name, strings.Join(phaseNames(), ", "))
		}
	}
	if slices.Contains(c.Phases, "gate") != slices.Contains(c.Phases, "benchmark") {
		add("phases: benchmark and gate go together: what is measured is judged and written down by gate")
	}
	for i, name := range c.Patches {
		if info, err := os.Stat(name); name != unknown && (err != nil || !info.Mode().IsRegular()) {
			add("patches[%d] %q: no such file; a relative path counts from where packer runs, so write ${path.root}/...", i, name)
		}
	}
	for i, name := range c.SkipEdits {
		if all := editNames(); name != unknown && !slices.Contains(all, name) {
			add("skip_edits[%d] %q: expected one of %s", i, name, strings.Join(all, ", "))
		}
	}
	for i, name := range c.BuildPackages {
		if name != unknown && !packageName.MatchString(name) {
			add("build_packages[%d] %q: expected the name of a Debian package", i, name)
		}
	}
	for i, name := range c.GPUTypes {
		if _, err := nvidia.Compute(name); name != unknown && err != nil {
			add("gpu_types[%d]: %w", i, err)
		}
	}
	errs = append(errs, c.checkVersions())
	return errors.Join(errs...)
}

func (c *Config) checkVersions() error {
	if c.DriverBranch == 0 {
		c.DriverBranch = nvidia.DefaultBranch
	}
	if c.DriverBranch < oldestBranch || c.DriverBranch > 999 {
		return fmt.Errorf("driver_branch %d: expected a branch of NVIDIA's driver from %d, such as %d", c.DriverBranch, oldestBranch, nvidia.DefaultBranch)
	}
	if c.CUDAVersion == "" {
		c.CUDAVersion = nvidia.DefaultCUDA
	}
	if c.CUDAVersion != unknown {
		if !cudaVersion.MatchString(c.CUDAVersion) {
			return fmt.Errorf("cuda_version %q: expected major and minor version, such as %q", c.CUDAVersion, nvidia.DefaultCUDA)
		}
		if err := nvidia.CheckPair(c.DriverBranch, c.CUDAVersion, nil); err != nil {
			return err
		}
	}
	switch c.Coin {
	case "":
		c.Coin = string(miner.Custom)
	case string(miner.ETC), string(miner.ETHW), string(miner.Custom), unknown:
	default:
		return fmt.Errorf("coin %q: expected \"etc\", \"ethw\" or \"custom\"", c.Coin)
	}
	return nil
}

// editNames are those of every edit there is.
func editNames() []string {
	var names []string
	for _, e := range append(edits.Build(false), edits.Etchash()...) {
		names = append(names, e.Name)
	}
	return names
}
