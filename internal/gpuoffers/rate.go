// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpuoffers

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// typicalShare is the share of the memory bandwidth's limit that a GPU without a
// published rate is expected to reach: the median of the catalog's published rates.
const typicalShare = 0.77

// Sources of estimated rates.
const (
	EstimatePublished = "estimate: published rates of this GPU"
	EstimateBandwidth = "estimate: memory bandwidth of this GPU"
)

// Measurement is the rate of an earlier build.
type Measurement struct {
	Type   string // the instance type
	report miner.Report
}

// Measured returns the measurement of a build's report. The error is the reason if it
// says nothing about a GPU of EC2.
func Measured(r artifact.Report) (Measurement, error) {
	if r.Rehearsal {
		return Measurement{}, fmt.Errorf("it is of a rehearsal")
	}
	if len(r.Benchmark) == 0 {
		return Measurement{}, fmt.Errorf("it has no benchmark")
	}
	b, err := miner.DecodeReport(r.Benchmark)
	switch {
	case err != nil:
		return Measurement{}, err
	case b.Reference:
		return Measurement{}, fmt.Errorf("its benchmark is of the reference miner")
	case b.Device != miner.DeviceCUDA:
		return Measurement{}, fmt.Errorf("its benchmark is of a CPU")
	case b.Verdict != miner.VerdictPassed || b.Hashrate <= 0:
		return Measurement{}, fmt.Errorf("its benchmark failed")
	}
	if _, err := gpucatalog.Lookup(r.InstanceType); err != nil {
		return Measurement{}, err
	}
	return Measurement{r.InstanceType, b}, nil
}

func (m Measurement) source() string {
	return fmt.Sprintf("measured on %s at a DAG of %.2f GiB on %s", m.Type, float64(m.report.DAGBytes)/(1<<30), m.report.StartedAt.Format("2006-01-02"))
}

// expect sets the limit and the expected rate of an offer: measured on its type, or else
// on another with the same GPU, or else estimated. Of several measurements, the latest
// counts.
func (o *Offer) expect(published float64, measured []Measurement) {
	o.Limit = miner.BandwidthLimit(o.GPU.BandwidthGBs*1e9) * miner.Rate(o.GPUs)
	var best *Measurement
	for i := range measured {
		m := &measured[i]
		entry, err := gpucatalog.Lookup(m.Type)
		if err != nil || entry.GPU != o.GPU {
			continue
		}
		if best == nil || m.Type == o.Type && best.Type != o.Type ||
			(m.Type == o.Type) == (best.Type == o.Type) && m.report.StartedAt.After(best.report.StartedAt) {
			best = m
		}
	}
	switch {
	case best != nil:
		gpus := len(best.report.GPUs)
		if gpus == 0 {
			entry, _ := gpucatalog.Lookup(best.Type)
			gpus = max(entry.Count, 1)
		}
		o.Rate, o.RateSource = best.report.Hashrate*miner.Rate(o.GPUs)/miner.Rate(gpus), best.source()
	case published > 0:
		o.Rate, o.RateSource = miner.Rate(published*1e6)*miner.Rate(o.GPUs), EstimatePublished
	default:
		o.Rate, o.RateSource = o.Limit*typicalShare, EstimateBandwidth
	}
}
