// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package gpu

import (
	"errors"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// GateConfig says what a benchmark must reach for an image to be made. A rate of
// zero, a GPU that does not mine, and solutions that are rejected or incorrect
// always fail.
type GateConfig struct {
	// The least hash rate that makes an image, as a number with a unit a
	// second: `h`, `Kh`, `Mh`, `Gh` or `Th`, in steps of 1000, such as
	// `"25 Mh/s"`. It is compared with the median of the window over all GPUs
	// together. By default every rate above zero passes; a rate of zero never
	// does.
	MinHashrate string `mapstructure:"min_hashrate" required:"false"`
	// The same for each GPU by itself, such as `"24 Mh/s"`; not for a CPU.
	// Not set by default.
	MinHashratePerGPU string `mapstructure:"min_hashrate_per_gpu" required:"false"`
	// The least share of the memory-bandwidth limit, from 0 to 1: a hash reads
	// 8192 bytes at random places, so the limit of a T4, with 320 GB/s, is
	// 39.1 Mh/s. Good miners reach 0.6 to 0.9. The bandwidth is that of the EC2
	// instance type's data sheet, so this needs an EC2 instance with a GPU that
	// the plugin knows. Not set by default.
	MinLimitShare float64 `mapstructure:"min_limit_share" required:"false"`
	// The greatest coefficient of variation of the rate over the window, from 0
	// to 1: `0.05` lets the standard deviation be 5 % of the mean. More hints at
	// a GPU that throttles, or at a neighbour. Not set by default.
	MaxVariation float64 `mapstructure:"max_variation" required:"false"`
}

// checkGate fills in the floors.
func (c *Config) checkGate() error {
	var errs []error
	for _, f := range []struct {
		name, text string
		rate       *miner.Rate
	}{
		{"min_hashrate", c.MinHashrate, &c.parsed.floor},
		{"min_hashrate_per_gpu", c.MinHashratePerGPU, &c.parsed.floorPerGPU},
	} {
		if f.text == "" || f.text == unknown {
			continue
		}
		rate, err := miner.ParseRate(f.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
		*f.rate = rate
	}
	for _, share := range []struct {
		name  string
		value float64
	}{{"min_limit_share", c.MinLimitShare}, {"max_variation", c.MaxVariation}} {
		if share.value < 0 || share.value > 1 {
			errs = append(errs, fmt.Errorf("%s %v: expected a share from 0 to 1, such as 0.6 for 60 %%", share.name, share.value))
		}
	}
	return errors.Join(errs...)
}
