// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"fmt"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// judge says why a benchmark makes no image, or nil: what it measured, what was
// expected, and what to do.
func judge(r miner.Report) error {
	at := "over " + r.Window() + " at " + r.DAG()
	switch {
	case r.Samples == 0:
		return fmt.Errorf("the miner printed no status line %s; expected one a second; check that it knows --display-interval, or make benchmark_duration longer", at)
	case r.Hashrate <= 0:
		return fmt.Errorf("measured %s, the median of %d samples (greatest %s) %s; expected a rate above zero; the miner stopped mining: see its lines", r.Hashrate, r.Samples, r.Max, at)
	case r.Last <= 0:
		return fmt.Errorf("measured %s, the median of %d samples, and %s at last, %s; expected it to go on; the miner stopped mining: see its lines", r.Hashrate, r.Samples, r.Last, at)
	case r.SilentSeconds > mostSilent:
		return fmt.Errorf("measured %s, but the miner printed its last status line %.0f s before the end, %s; expected one a second; it hangs: see its lines", r.Hashrate, r.SilentSeconds, at)
	case len(r.Failures) > 0:
		return fmt.Errorf("measured %s, but a device failed, %s: %q; expected every device to go on", r.Hashrate, at, r.Failures[0])
	}
	if err := judgeDevices(r, at); err != nil {
		return err
	}
	if err := judgeAPI(r); err != nil {
		return err
	}
	switch {
	case r.Incorrect > 0:
		return fmt.Errorf("measured %s, but %d of its solutions were incorrect %s; expected none; the GPU computes wrongly: lower its clocks or replace the instance", r.Hashrate, r.Incorrect, at)
	case r.Rejected > 0:
		return fmt.Errorf("measured %s, but %d of its solutions were rejected %s; expected none; the miner mines on a wrong DAG or algorithm", r.Hashrate, r.Rejected, at)
	case r.Hashrate < r.Floor:
		return fmt.Errorf("measured %s (%.0f %% of the floor), the median of %d samples from %s to %s, %s; expected min_hashrate %s or more on %s; choose another instance type, look for a driver or a thermal problem, or lower min_hashrate",
			r.Hashrate, 100*float64(r.Hashrate/r.Floor), r.Samples, r.Min, r.Max, at, r.Floor, r.Measured())
	case r.LimitShare < r.LeastLimitShare:
		return fmt.Errorf("measured %s, which is %.0f %% of the %s that the memory bandwidth allows, %s; expected min_limit_share %v or more on %s; look for a driver or a thermal problem, or lower min_limit_share",
			r.Hashrate, 100*r.LimitShare, r.Limit, at, r.LeastLimitShare, r.Measured())
	case r.MostVariation > 0 && r.Variation > r.MostVariation:
		return fmt.Errorf("measured %s, which varies by %.1f %% (5 %% of the samples are under %s, 5 %% over %s), %s; expected max_variation %v or less; a GPU throttles, or the warm-up is too short: make benchmark_warmup longer, or raise max_variation",
			r.Hashrate, 100*r.Variation, r.P5, r.P95, at, r.MostVariation)
	}
	return nil
}

// mostSilent is how many seconds a miner may be silent that was asked for a line
// a second.
const mostSilent = 10

// judgeDevices looks at each GPU by itself. A miner that names no device in its
// lines is judged as a whole only, and so are the cores of a CPU, which other
// programs may keep from mining for seconds.
func judgeDevices(r miner.Report, at string) error {
	if len(r.Devices) == 0 || r.Device == miner.DeviceCPU {
		return nil
	}
	var names []string
	for _, d := range r.Devices {
		names = append(names, d.Name)
		if d.Hashrate <= 0 {
			return fmt.Errorf("%s mined nothing, while all together made %s, %s; expected every device to mine; %s", d.Name, r.Hashrate, at, silent)
		}
		if d.Last <= 0 {
			return fmt.Errorf("%s stopped mining: it made %s, the median of %d samples, and nothing at last, %s; expected every device to go on; %s", d.Name, d.Hashrate, d.Samples, at, silent)
		}
		if d.Hashrate < r.FloorPerGPU {
			return fmt.Errorf("%s made %s (%.0f %% of the floor), the median of %d samples, %s; expected min_hashrate_per_gpu %s or more; compare it with the others (%s), and look for a driver or a thermal problem",
				d.Name, d.Hashrate, 100*float64(d.Hashrate/r.FloorPerGPU), d.Samples, at, r.FloorPerGPU, rates(r.Devices))
		}
	}
	if len(r.Devices) < len(r.GPUs) {
		return fmt.Errorf("%d GPUs are there (%s), and the miner's lines name only %s, %s; expected every GPU to mine; %s",
			len(r.GPUs), strings.Join(r.GPUs, ", "), strings.Join(names, ", "), at, silent)
	}
	return nil
}

const silent = "look at the kernel's log (dmesg | grep -i xid) and at nvidia-smi, and replace the instance if they complain"

// rates writes "cu0 25.00 Mh/s, cu1 24.90 Mh/s".
func rates(devices []miner.DeviceReport) string {
	var words []string
	for _, d := range devices {
		words = append(words, d.Name+" "+d.Hashrate.String())
	}
	return strings.Join(words, ", ")
}

// publishedShare is how much of a published rate is odd enough to say so.
const publishedShare = 0.8

// oddities are what is worth a line, and no reason to fail: published rates are
// of other years and DAG sizes.
func (r *run) oddities() []string {
	var all []string
	for _, ail := range ailments(r.report) {
		all = append(all, "warning: "+ail)
	}
	entry, err := gpucatalog.Lookup(r.found.instanceType)
	if err != nil || r.found.device != deviceCUDA || entry.PublishedMhs == 0 || entry.Count == 0 {
		return all
	}
	published := miner.Rate(entry.PublishedMhs*1e6) * miner.Rate(entry.Count)
	if r.report.Hashrate >= publishedShare*published {
		return all
	}
	return append(all, fmt.Sprintf("warning: %s is %.0f %% of the %s that users have published for %s (in 2021 and 2022, at a DAG of 4.5 GiB); set min_hashrate if it is to fail",
		r.report.Hashrate, 100*float64(r.report.Hashrate/published), published, r.found.instanceType))
}

// causes are what a failure line usually means, by a part of it in lower case.
var causes = []struct{ part, remedy string }{
	{"invalid device symbol", "the binary was built for another GPU: remove -DCOMPUTE from cmake_options, or set it to this GPU's compute capability"},
	{"enough memory", "the DAG does not fit the GPU: choose a GPU with more memory or a smaller benchmark_block"},
	{"out of memory", "the DAG does not fit the GPU: choose a GPU with more memory or a smaller benchmark_block"},
	{"insufficient cuda driver", "the driver is older than the CUDA toolkit: install a newer driver"},
	{"driver/library version mismatch", "the driver that runs is not the one that is installed: reboot, and hold its packages"},
	{"no cuda driver", "the NVIDIA driver is not loaded: install it, or set device = \"cpu\""},
	{"system not yet initialized", "start nvidia-fabricmanager of exactly the driver's version"},
	{"no usable mining devices", "the miner sees no device of this kind: check device and the options it was built with"},
}

// cause is the remedy for what the log says, "" where it says nothing known.
func (r *run) cause() string {
	lines, _ := r.watch.evidence()
	text := strings.ToLower(strings.Join(lines, "\n"))
	for _, cause := range causes {
		if strings.Contains(text, cause.part) {
			return cause.remedy
		}
	}
	return ""
}

// hint is the likely cause, for the end of a verdict.
func (r *run) hint() string {
	if _, telling := r.watch.evidence(); telling {
		if cause := r.cause(); cause != "" {
			return "; its log says why: " + cause
		}
	}
	if ails := ailments(r.report); len(ails) > 0 {
		return "; " + strings.Join(ails, "; ")
	}
	return ""
}
