// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"errors"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// checkGate parses the minimum rates and checks the fractions.
func (c *Config) checkGate() error {
	var errs []error
	for _, f := range []struct {
		name, text string
		rate       *miner.Rate
	}{
		{"min_hashrate", c.MinHashrate, &c.parsed.Floor},
		{"min_hashrate_per_gpu", c.MinHashratePerGPU, &c.parsed.FloorPerGPU},
	} {
		if f.text == "" || f.text == hclvalue.Unknown {
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
			errs = append(errs, fmt.Errorf("%s %v: expected a fraction from 0 to 1, such as 0.6 for 60 %%", share.name, share.value))
		}
	}
	return errors.Join(errs...)
}
