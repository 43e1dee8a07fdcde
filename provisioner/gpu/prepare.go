// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Upstream is where ethminer lives; it is not maintained any more.
const Upstream = "https://github.com/ethereum-mining/ethminer.git"

// UpstreamCommit is the last commit of upstream's master, 0.19.0-17.
const UpstreamCommit = "ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9"

// Values of the device option.
const (
	deviceAuto = "auto"
	deviceCUDA = miner.DeviceCUDA
	deviceCPU  = miner.DeviceCPU
)

// Defaults and bounds of the options.
const (
	defaultWarmup       = 30 * time.Second
	defaultDuration     = 60 * time.Second
	defaultStartTimeout = 5 * time.Minute
	maxDuration         = time.Hour
	maxBlock            = 1 << 31
)

// unknown is what Packer passes, at validate time, for a string that is known
// only once the builder has run.
const unknown = "<unknown>"

// settings is what Prepare makes of the options.
type settings struct {
	kind                           sourceKind
	localTarball                   bool
	upstream                       bool // ethminer, or a fork by its name
	rebootTimeout                  time.Duration
	startTimeout, warmup, duration time.Duration
	floor, floorPerGPU             miner.Rate
}

// prepare decodes raws and checks them. It makes no call, writes nothing, may
// run again, and returns every mistake at once.
func (c *Config) prepare(raws ...any) error {
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
		c.checkProvision(),
		checkDuration("reboot_timeout", c.RebootTimeout, defaultReboot, 10*time.Second, &c.parsed.rebootTimeout),
		c.checkDevice(),
		c.checkBlock(),
		checkDuration("benchmark_start_timeout", c.BenchmarkStartTimeout, defaultStartTimeout, time.Second, &c.parsed.startTimeout),
		checkDuration("benchmark_warmup", c.BenchmarkWarmup, defaultWarmup, 0, &c.parsed.warmup),
		checkDuration("benchmark_duration", c.BenchmarkDuration, defaultDuration, time.Second, &c.parsed.duration),
		c.checkGate(),
		c.PoolCheck.check(),
		c.checkReportFile(),
	} {
		if err != nil {
			errs = packersdk.MultiErrorAppend(errs, err)
		}
	}
	if errs != nil {
		return errs
	}
	return nil
}

var fileName = lazyregexp.New("^[A-Za-z0-9_][A-Za-z0-9._+-]*$")

func (c *Config) checkOptions() error {
	var errs []error
	for i, option := range c.CMakeOptions {
		if option != unknown && !strings.HasPrefix(option, "-") {
			errs = append(errs, fmt.Errorf("cmake_options[%d] %q: expected an option of cmake, such as \"-DNAME=VALUE\" in one string", i, option))
		}
	}
	if c.BinaryName == "" {
		c.BinaryName = "ethminer"
	}
	if c.BinaryName != unknown && !fileName.MatchString(c.BinaryName) {
		errs = append(errs, fmt.Errorf("binary_name %q: expected a file name of letters, digits and . _ + -, without a folder, such as \"ethminer\"", c.BinaryName))
	}
	return errors.Join(errs...)
}

func (c *Config) checkDevice() error {
	switch c.Device {
	case "":
		c.Device = deviceAuto
	case deviceAuto, deviceCUDA, deviceCPU, unknown:
	default:
		return fmt.Errorf("device %q: expected \"auto\", \"cuda\" or \"cpu\"", c.Device)
	}
	return nil
}

func (c *Config) checkBlock() error {
	if c.BenchmarkBlock == 0 { // unset, or unknown until the build
		c.BenchmarkBlock = int(miner.Coin(c.Coin).PlausibleBlock())
	}
	if c.BenchmarkBlock < 1 || c.BenchmarkBlock > maxBlock {
		return fmt.Errorf("benchmark_block %d: expected a block number from 1 to %d, such as %d", c.BenchmarkBlock, maxBlock, miner.Coin(c.Coin).PlausibleBlock())
	}
	return nil
}

func (c *Config) checkReportFile() error {
	if c.ReportFile == "" || c.ReportFile == unknown {
		return nil
	}
	if info, err := os.Stat(c.ReportFile); err == nil && info.IsDir() {
		return fmt.Errorf("report_file %q: is a folder; expected the path of a file, such as %q", c.ReportFile, filepath.Join(c.ReportFile, "benchmark.json"))
	}
	return nil
}

func checkDuration(name, text string, preset, least time.Duration, into *time.Duration) error {
	*into = preset
	if text == "" || text == unknown {
		return nil
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%s %q: expected a duration with a unit, such as \"30s\" or \"2m\"", name, text)
	}
	if value < least || value > maxDuration {
		return fmt.Errorf("%s %q: expected a duration from %s to %s", name, text, least, maxDuration)
	}
	*into = value
	return nil
}
