// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/minerpatch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// oldestBranch is the oldest driver branch that supports CUDA 12 and is in Ubuntu.
const oldestBranch = 535

var (
	packageName = lazyregexp.New("^[a-z0-9][a-z0-9.+-]+$")
	cudaVersion = lazyregexp.New(`^1[1-9]\.[0-9]+$`)
)

// checkProvision checks ProvisionConfig, except the phases and the options of the
// source.
func (c *Config) checkProvision() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, name := range c.Patches {
		if info, err := os.Stat(name); name != hclvalue.Unknown && (err != nil || !info.Mode().IsRegular()) {
			add("patches[%d] %q: no such file; relative paths start in the folder where packer runs; use ${path.root}/...", i, name)
		}
	}
	for i, name := range c.SkipEdits {
		if all := editNames(); name != hclvalue.Unknown && !slices.Contains(all, name) {
			add("skip_edits[%d] %q: expected one of %s", i, name, strings.Join(all, ", "))
		}
	}
	for i, name := range c.BuildPackages {
		if name != hclvalue.Unknown && !packageName.MatchString(name) {
			add("build_packages[%d] %q: expected the name of a Debian package", i, name)
		}
	}
	for i, name := range c.GPUTypes {
		if _, err := nvidia.Compute(name); name != hclvalue.Unknown && err != nil {
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
		return fmt.Errorf("driver_branch %d: expected an NVIDIA driver branch, %d or later, such as %d", c.DriverBranch, oldestBranch, nvidia.DefaultBranch)
	}
	if err := c.checkCUDAVersion(); err != nil {
		return err
	}
	switch c.Coin {
	case "":
		c.Coin = string(miner.Custom)
	case string(miner.ETC), string(miner.ETHW), string(miner.Custom), hclvalue.Unknown:
	default:
		return fmt.Errorf("coin %q: expected \"etc\", \"ethw\" or \"custom\"", c.Coin)
	}
	return nil
}

func (c *Config) checkCUDAVersion() error {
	if c.CUDAVersion == "" || c.CUDAVersion == hclvalue.Unknown {
		if c.CUDAVersion == "" {
			c.CUDAVersion = nvidia.DefaultCUDA
		}
		return nil
	}
	if !cudaVersion.MatchString(c.CUDAVersion) {
		return fmt.Errorf("cuda_version %q: expected major and minor version, such as %q", c.CUDAVersion, nvidia.DefaultCUDA)
	}
	c.parsed.CUDAVersion = c.CUDAVersion
	if c.IsUpstream() && nvidia.Major(c.CUDAVersion) > nvidia.FindCUDAMajor {
		return fmt.Errorf("cuda_version %q: upstream ethminer uses CMake's FindCUDA, which is known to work up to CUDA %d; use cuda_version %q, or remove it", c.CUDAVersion, nvidia.FindCUDAMajor, nvidia.DefaultCUDA)
	}
	return nvidia.CheckPair(c.DriverBranch, c.CUDAVersion)
}

// editNames returns the names of all edits.
func editNames() []string {
	var names []string
	for _, e := range append(minerpatch.Build(false), minerpatch.Etchash()...) {
		names = append(names, e.Name)
	}
	return names
}
