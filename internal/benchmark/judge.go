// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"fmt"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Judge returns an error with result, expectation and remedy if a benchmark must
// fail the build.
func Judge(r miner.Report) error {
	at := "over " + r.Window() + " at " + r.DAG()
	switch {
	case r.Samples == 0:
		return fmt.Errorf("the miner printed no status line %s; expected one per second; check that it supports --display-interval, or increase benchmark_duration", at)
	case r.Hashrate <= 0:
		return fmt.Errorf("measured %s, the median of %d collections (maximum %s) %s; expected a rate above zero; the miner stopped mining, see its output", r.Hashrate, r.Samples, r.Max, at)
	case r.Last <= 0:
		return fmt.Errorf("measured %s, the median of %d collections, but %s at the end, %s; expected it to keep mining; the miner stopped mining, see its output", r.Hashrate, r.Samples, r.Last, at)
	case r.SilentSeconds > mostSilent:
		return fmt.Errorf("measured %s, but the miner printed its last status line %.0f s before the end, %s; expected one per second; the miner hangs, see its output", r.Hashrate, r.SilentSeconds, at)
	case len(r.Failures) > 0:
		return fmt.Errorf("measured %s, but a device failed, %s: %q; expected every device to keep mining", r.Hashrate, at, r.Failures[0])
	}
	if err := judgeDevices(r, at); err != nil {
		return err
	}
	if err := judgeAPI(r); err != nil {
		return err
	}
	switch {
	case r.MostPossible > 0 && r.Hashrate > r.MostPossible:
		return fmt.Errorf("measured %s, the median of %d collections, %s; the GPU memory allows at most %s (limit %s, %s); the rate is not plausible: the GPU kernel fails silently, or the miner counts hashes that it does not compute; check its output, and build it for this GPU's compute capability",
			r.Hashrate, r.Samples, at, r.MostPossible, r.Limit, r.LimitSource)
	case r.Incorrect > 0:
		return fmt.Errorf("measured %s, but %d of its solutions were incorrect %s; expected none; the GPU computes incorrectly: lower its clocks or replace the instance", r.Hashrate, r.Incorrect, at)
	case r.Rejected > 0:
		return fmt.Errorf("measured %s, but %d of its solutions were rejected %s; expected none; the miner uses the wrong DAG or algorithm", r.Hashrate, r.Rejected, at)
	case r.Hashrate < r.Floor:
		remedy := "choose another instance type, check for a driver or thermal problem, or lower min_hashrate"
		if r.Reference {
			remedy = "the reference miner is for tests on a CPU: set min_hashrate only if rehearsal is false"
		}
		return fmt.Errorf("measured %s (%.0f %% of the minimum), the median of %d collections from %s to %s, %s; expected min_hashrate %s or more on %s; %s",
			r.Hashrate, 100*float64(r.Hashrate/r.Floor), r.Samples, r.Min, r.Max, at, r.Floor, r.Measured(), remedy)
	case r.LimitShare < r.LeastLimitShare:
		return fmt.Errorf("measured %s, which is %.0f %% of the %s that the memory bandwidth allows (%s), %s; expected min_limit_share %v or more on %s; check for a driver or thermal problem, or lower min_limit_share",
			r.Hashrate, 100*r.LimitShare, r.Limit, r.LimitSource, at, r.LeastLimitShare, r.Measured())
	case r.MostVariation > 0 && r.Variation > r.MostVariation:
		return fmt.Errorf("measured %s, which varies by %.1f %% (5 %% of the collections are under %s, 5 %% over %s), %s; expected max_variation %v or less; a GPU is throttled, or the warm-up is too short: increase benchmark_warmup or max_variation",
			r.Hashrate, 100*r.Variation, r.P5, r.P95, at, r.MostVariation)
	}
	return nil
}

// mostSilent is the maximum number of seconds without a status line; the miner
// prints one per second.
const mostSilent = 10

// judgeDevices evaluates each GPU. It skips CPU cores, which other programs may block
// for seconds, and a miner that names no devices.
func judgeDevices(r miner.Report, at string) error {
	if len(r.Devices) == 0 || r.Device == miner.DeviceCPU {
		return nil
	}
	var names []string
	for _, d := range r.Devices {
		names = append(names, d.Name)
		if d.Hashrate <= 0 {
			return fmt.Errorf("%s mined nothing, while all devices together reached %s, %s; expected every device to mine; %s", d.Name, r.Hashrate, at, silent)
		}
		if d.Last <= 0 {
			return fmt.Errorf("%s stopped mining: it reached %s, the median of %d collections, but nothing at the end, %s; expected every device to keep mining; %s", d.Name, d.Hashrate, d.Samples, at, silent)
		}
		if d.Hashrate < r.FloorPerGPU {
			return fmt.Errorf("%s reached %s (%.0f %% of the minimum), the median of %d collections, %s; expected min_hashrate_per_gpu %s or more; compare it with the others (%s), and check for a driver or thermal problem",
				d.Name, d.Hashrate, 100*float64(d.Hashrate/r.FloorPerGPU), d.Samples, at, r.FloorPerGPU, rates(r.Devices))
		}
	}
	if len(r.Devices) < len(r.GPUs) {
		return fmt.Errorf("the instance has %d GPUs (%s), but the miner's output names only %s, %s; expected every GPU to mine; %s",
			len(r.GPUs), strings.Join(r.GPUs, ", "), strings.Join(names, ", "), at, silent)
	}
	return nil
}

const silent = "check the kernel log (dmesg | grep -i xid) and nvidia-smi, and replace the instance if they report errors"

// rates formats "cu0 25.00 Mh/s, cu1 24.90 Mh/s".
func rates(devices []miner.DeviceReport) string {
	var words []string
	for _, d := range devices {
		words = append(words, d.Name+" "+d.Hashrate.String())
	}
	return strings.Join(words, ", ")
}

// publishedShare is the fraction of a published rate below which a warning is
// printed.
const publishedShare = 0.8

// Oddities returns warnings. A low rate is not an error, since published rates are
// from other years and DAG sizes.
func Oddities(r miner.Report, device, instanceType string) []string {
	var all []string
	for _, ail := range Ailments(r) {
		all = append(all, "warning: "+ail)
	}
	entry, err := gpucatalog.Lookup(instanceType)
	if err != nil || device != miner.DeviceCUDA || entry.PublishedMhs == 0 || entry.Count == 0 {
		return all
	}
	published := miner.Rate(entry.PublishedMhs*1e6) * miner.Rate(entry.Count)
	if r.Hashrate >= publishedShare*published {
		return all
	}
	return append(all, fmt.Sprintf("warning: %s is %.0f %% of the %s that users have published for %s (in 2021 and 2022, at a DAG of 4.5 GiB); set min_hashrate to make this an error",
		r.Hashrate, 100*float64(r.Hashrate/published), published, instanceType))
}
