// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// FillSensors writes the sensor values into a report's devices. The miner numbers
// them as nvidia-smi does: see benchmark.sh.
func (o Observed) FillSensors(r *miner.Report) {
	for i := range r.Devices {
		d := &r.Devices[i]
		own := o.of(d.Name)
		var slowed nvidia.Slowdown
		for _, s := range own {
			d.TempC = max(d.TempC, s.TempC)
			slowed |= s.Slowed
		}
		if len(own) > 0 { // otherwise keep the miner's value
			d.PowerW = median(own, func(s sensorsAt) float64 { return s.PowerW })
		}
		d.ClockMHz = median(own, func(s sensorsAt) float64 { return s.ClockMHz })
		d.MemoryClockMHz = median(own, func(s sensorsAt) float64 { return s.MemoryClockMHz })
		d.SlowedBy, d.Hot = slowed.Reasons(), slowed.Thermal()
	}
	for i := range r.Series {
		points := miner.NewThinned[miner.SensorPoint](miner.MostPoints)
		for _, s := range o.of(r.Series[i].Device) {
			points.Add(miner.SensorPoint{Seconds: s.seconds, TempC: s.TempC, PowerW: s.PowerW})
		}
		r.Series[i].Sensors = points.Kept()
	}
	r.Energy()
}

// of returns the sensor values of a device.
func (o Observed) of(device string) []sensorsAt {
	return slices.DeleteFunc(slices.Clone(o.sensors), func(s sensorsAt) bool { return s.Index != deviceIndex(device) })
}

// median returns the median of one sensor.
func median(all []sensorsAt, of func(sensorsAt) float64) float64 {
	values := make([]miner.Rate, len(all)) // reuses the statistics of rates
	for i, s := range all {
		values[i] = miner.Rate(of(s))
	}
	return float64(miner.Summarize(values).Median)
}

// deviceIndex returns the number in a device's name, or -1.
func deviceIndex(name string) int {
	digits := name[strings.LastIndexFunc(name, func(c rune) bool { return c < '0' || c > '9' })+1:]
	if n, err := strconv.Atoi(digits); err == nil {
		return n
	}
	return -1
}

// Ailments returns the problems that GPUs and driver report, one line each.
func Ailments(r miner.Report) []string {
	var all []string
	for _, line := range r.Xids {
		text := "the driver reports " + line
		if _, meaning, _ := nvidia.Xid(line); meaning != "" {
			text += ": " + meaning
		}
		all = append(all, text)
	}
	for _, d := range r.Devices {
		if d.Hot {
			all = append(all, fmt.Sprintf("%s is overheating (%.0f C) and throttled (%s): replace the instance", d.Name, d.TempC, strings.Join(d.SlowedBy, ", ")))
		}
	}
	return all
}
