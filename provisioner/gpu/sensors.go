// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// sensorsBound is how long nvidia-smi may take.
const sensorsBound = 10 * time.Second

// askSensors asks nvidia-smi once. What it does not say is left out: no verdict
// hangs on it alone.
func (r *run) askSensors(ctx context.Context) []nvidia.Sensors {
	a, err := r.ask(ctx, script{name: "sensors", args: []string{nvidia.SensorsQuery, nvidia.OldSensorsQuery}, bound: sensorsBound})
	if err != nil {
		log.Printf("[DEBUG] the GPUs' sensors: %s", err)
		return nil
	}
	var all []nvidia.Sensors
	for _, line := range a.facts["sensors"] {
		s, err := nvidia.ParseSensors(line)
		if err != nil {
			log.Printf("[DEBUG] the GPUs' sensors: %s", err)
			continue
		}
		all = append(all, s)
	}
	return all
}

// fillSensors writes what the sensors have said into the report's devices. The
// miner numbers them as nvidia-smi does: see benchmark.sh.
func (r *run) fillSensors(o observed) {
	for i := range r.report.Devices {
		d := &r.report.Devices[i]
		own := slices.DeleteFunc(slices.Clone(o.sensors), func(s nvidia.Sensors) bool { return s.Index != deviceIndex(d.Name) })
		var slowed nvidia.Slowdown
		for _, s := range own {
			d.TempC = max(d.TempC, s.TempC)
			slowed |= s.Slowed
		}
		if len(own) > 0 { // else what the miner has told stays
			d.PowerW = median(own, func(s nvidia.Sensors) float64 { return s.PowerW })
		}
		d.ClockMHz = median(own, func(s nvidia.Sensors) float64 { return s.ClockMHz })
		d.MemoryClockMHz = median(own, func(s nvidia.Sensors) float64 { return s.MemoryClockMHz })
		d.SlowedBy, d.Hot = slowed.Reasons(), slowed.Thermal()
	}
	r.report.Energy()
}

// median is that of one sensor.
func median(all []nvidia.Sensors, of func(nvidia.Sensors) float64) float64 {
	values := make([]miner.Rate, len(all)) // whose statistics are known
	for i, s := range all {
		values[i] = miner.Rate(of(s))
	}
	return float64(miner.Summarize(values).Median)
}

// deviceIndex is the number in a device's name, -1 without one.
func deviceIndex(name string) int {
	digits := name[strings.LastIndexFunc(name, func(c rune) bool { return c < '0' || c > '9' })+1:]
	if n, err := strconv.Atoi(digits); err == nil {
		return n
	}
	return -1
}

// xidBound is how long reading the kernel's log may take.
const xidBound = 30 * time.Second

// xids are the kernel's lines about errors of the GPUs; ok is false where they
// cannot be read.
func (r *run) xids(ctx context.Context) (lines []string, ok bool) {
	if r.found.device != deviceCUDA {
		return nil, false
	}
	a, err := r.ask(ctx, script{name: "xid", asRoot: true, bound: xidBound})
	if err != nil {
		log.Printf("[DEBUG] the kernel's log: %s", err)
		return nil, false
	}
	return a.facts["xid"], true
}

// ask runs a script whose answer nothing depends on: it is waited for a little
// longer than the instance lets it run, whatever the connection does.
func (r *run) ask(ctx context.Context, s script) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.bound+askGrace)
	defer cancel()
	return r.machine.run(ctx, s)
}

// askGrace covers the connection's delays.
const askGrace = 10 * time.Second

// ailments are what the GPUs and the driver themselves complain of, a line each.
func ailments(r miner.Report) []string {
	var all []string
	for _, line := range r.Xids {
		text := "the driver says " + line
		if _, meaning, _ := nvidia.Xid(line); meaning != "" {
			text += ": " + meaning
		}
		all = append(all, text)
	}
	for _, d := range r.Devices {
		if d.Hot {
			all = append(all, fmt.Sprintf("%s is too hot, %.0f C, and slows down (%s): replace the instance", d.Name, d.TempC, strings.Join(d.SlowedBy, ", ")))
		}
	}
	return all
}
