// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// Defaults and bounds of the options.
const (
	deviceAuto = "auto" // by the instance

	// The earliest stable rate is after six collections, which is 30 s.
	defaultWarmup = 60 * time.Second
	// 24 collections: the 5th and 95th percentiles then exclude one at each end.
	defaultDuration     = 2 * time.Minute
	defaultStartTimeout = 5 * time.Minute
	// defaultReboot limits a reboot; an EC2 instance takes one or two minutes, a
	// bare-metal instance up to fifteen.
	defaultReboot = 15 * time.Minute
	maxBlock      = 1 << 31
)

// Prepare decodes and checks raws; checkPhases checks the option phases. It has no
// side effects, may run repeatedly, and returns all errors at once.
func (c *Config) Prepare(checkPhases func(names []string) error, raws ...any) error {
	*c = Config{}
	if err := config.Decode(c, &config.DecodeOpts{
		PluginType:         "ethminer-gpu",
		Interpolate:        true,
		InterpolateContext: &c.ctx,
	}, raws...); err != nil {
		return err
	}
	var errs *packersdk.MultiError
	for _, err := range []error{
		c.checkSource(),
		c.checkOptions(),
		errors.Join(checkPhases(c.Phases), c.checkProvision()),
		hclvalue.Duration("reboot_timeout", c.RebootTimeout, defaultReboot, 10*time.Second, &c.parsed.RebootTimeout),
		c.checkDevice(),
		c.checkBlock(),
		hclvalue.Duration("benchmark_start_timeout", c.BenchmarkStartTimeout, defaultStartTimeout, time.Second, &c.parsed.StartTimeout),
		hclvalue.Duration("benchmark_warmup", c.BenchmarkWarmup, defaultWarmup, 0, &c.parsed.Warmup),
		hclvalue.Duration("benchmark_duration", c.BenchmarkDuration, defaultDuration, time.Second, &c.parsed.Duration),
		c.checkGate(),
		c.PoolCheck.Prepare(),
		c.checkReportFile(),
	} {
		if err != nil {
			errs = packersdk.MultiErrorAppend(errs, err)
		}
	}
	if errs != nil {
		return errs
	}
	redact.Add(c.PoolCheck.Secrets()...)
	return nil
}

var fileName = lazyregexp.New("^[A-Za-z0-9_][A-Za-z0-9._+-]*$")

func (c *Config) checkOptions() error {
	var errs []error
	for i, option := range c.CMakeOptions {
		if option != hclvalue.Unknown && !strings.HasPrefix(option, "-") {
			errs = append(errs, fmt.Errorf("cmake_options[%d] %q: expected one cmake option, such as \"-DNAME=VALUE\"", i, option))
		}
	}
	if c.BinaryName == "" {
		c.BinaryName = "ethminer"
	}
	if c.BinaryName != hclvalue.Unknown && !fileName.MatchString(c.BinaryName) {
		errs = append(errs, fmt.Errorf("binary_name %q: expected a file name of letters, digits and . _ + -, without a folder, such as \"ethminer\"", c.BinaryName))
	}
	return errors.Join(errs...)
}

func (c *Config) checkDevice() error {
	switch c.Device {
	case "":
		c.Device = deviceAuto
	case deviceAuto, miner.DeviceCUDA, miner.DeviceCPU, hclvalue.Unknown:
	default:
		return fmt.Errorf("device %q: expected \"auto\", \"cuda\" or \"cpu\"", c.Device)
	}
	return nil
}

func (c *Config) checkBlock() error {
	if c.BenchmarkBlock == 0 { // unset, or unknown until the build
		c.BenchmarkBlock = int(miner.Coin(c.Coin).PlausibleBlock()) //nolint:gosec // a constant
	}
	if c.BenchmarkBlock < 1 || c.BenchmarkBlock > maxBlock {
		return fmt.Errorf("benchmark_block %d: expected a block number from 1 to %d, such as %d", c.BenchmarkBlock, maxBlock, miner.Coin(c.Coin).PlausibleBlock())
	}
	return nil
}

func (c *Config) checkReportFile() error {
	if c.ReportFile == "" || c.ReportFile == hclvalue.Unknown {
		return nil
	}
	if info, err := os.Stat(c.ReportFile); err == nil && info.IsDir() {
		return fmt.Errorf("report_file %q: is a folder; expected the path of a file, such as %q", c.ReportFile, filepath.Join(c.ReportFile, "benchmark.json"))
	}
	if err := atomicfile.Writable(c.ReportFile); err != nil {
		return fmt.Errorf("report_file: %w", err)
	}
	return nil
}
