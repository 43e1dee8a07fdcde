// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"errors"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// measuredSlack is the factor by which a rate may exceed the measured limit: one
// second of another kernel does not reach the memory's maximum.
const measuredSlack = 1.1

// DataSheet holds the limits of a machine's GPUs according to their data sheets. The
// zero value means that the GPUs are unknown.
type DataSheet struct {
	Limit  miner.Rate // maximum rate of all GPUs at their memory bandwidth
	cached uint64     // the largest cache of one GPU, in bytes
}

// FindDataSheet looks up the driver's names of the GPUs before the EC2 type, since the
// instance may not be on EC2. The error is the reason if a GPU is unknown.
func FindDataSheet(gpus []string, instanceType string) (DataSheet, error) {
	var sheet DataSheet
	unknown := errors.New("the driver lists no GPU")
	for _, name := range gpus {
		gpu, ok := gpucatalog.ByName(name)
		if !ok {
			sheet.Limit, unknown = 0, fmt.Errorf("the bandwidth of a %s is not known", name)
			break
		}
		sheet.Limit += miner.BandwidthLimit(gpu.BandwidthGBs * 1e9)
		sheet.cached = max(sheet.cached, uint64(gpu.CacheMB*1e6))
	}
	if sheet.Limit > 0 {
		return sheet, nil
	}
	if instanceType != "" {
		if entry, err := gpucatalog.Lookup(instanceType); err == nil && entry.Count > 0 {
			return DataSheet{
				Limit:  miner.BandwidthLimit(entry.BandwidthGBs*1e9) * miner.Rate(entry.Count),
				cached: uint64(entry.CacheMB * 1e6),
			}, nil
		}
	}
	return DataSheet{}, unknown
}

// Fill writes the limit into a report: measured, or else by the data sheet. It
// returns measured if that is the limit, otherwise 0.
func (s DataSheet) Fill(r *miner.Report, measured miner.Rate) miner.Rate {
	// A value above the data sheet's cannot be the memory's bandwidth.
	if s.Limit > 0 && measured > miner.CachedLimit(s.Limit, s.cached, r.DAGBytes) {
		measured = 0
	}
	r.DataSheetLimit = s.Limit
	switch {
	case measured > 0:
		r.Limit, r.LimitSource = measured, miner.LimitMeasured
	case s.Limit > 0:
		r.Limit, r.LimitSource = s.Limit, miner.LimitDataSheet
	default:
		r.Limit, r.LimitSource = 0, ""
	}
	r.MostPossible = r.Limit * measuredSlack
	if s.Limit > 0 {
		r.MostPossible = miner.CachedLimit(s.Limit, s.cached, r.DAGBytes)
	}
	return measured
}
