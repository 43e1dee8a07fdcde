// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package summary reduces the report of a build to the facts that people read first.
package summary

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Build is the report of a build, with what is decoded of it.
type Build struct {
	artifact.Report
	// Measured is the benchmark; nil if there is none, or if it cannot be read.
	Measured *miner.Report `json:"-"`
	// Unreadable is the error of a benchmark that cannot be read.
	Unreadable error `json:"-"`
}

// Decode parses the report of a build: the state artifact.StateBuild, or a file of an
// earlier build. A benchmark of a later plugin version is not an error.
func Decode(text []byte) (Build, error) {
	var b Build
	if err := json.Unmarshal(text, &b); err != nil {
		return Build{}, fmt.Errorf("decoding the build's report: %w", err)
	}
	if b.BuildID == "" {
		return Build{}, errors.New("decoding the build's report: it has no build_id; expected the report of an ethminer-ami build")
	}
	if len(b.Benchmark) > 0 {
		measured, err := miner.DecodeReport(b.Benchmark)
		if err != nil {
			b.Unreadable = err
		} else {
			b.Measured = &measured
		}
	}
	return b, nil
}

// Seconds returns the duration of this run: the sum of its phases, which follow each
// other.
func (b Build) Seconds() (sum float64) {
	for _, p := range b.Phases {
		sum += p.Seconds
	}
	return sum
}

// USDPerGHs returns the price of an hour at one Gh/s; 0 if the price or the rate is
// unknown.
func (b Build) USDPerGHs() float64 {
	if b.Measured == nil || b.Measured.Hashrate <= 0 {
		return 0
	}
	return b.PricePerHourUSD / (float64(b.Measured.Hashrate) / 1e9)
}
