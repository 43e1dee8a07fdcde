// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"fmt"
	"strconv"
	"strings"
)

// SensorsQuery is the --query-gpu of nvidia-smi whose lines ParseSensors parses, with
// --format=csv,noheader,nounits. OldSensorsQuery is for older drivers, in which the
// last field has another name.
const (
	sensorFields    = "index,temperature.gpu,power.draw,clocks.sm,clocks.mem,"
	SensorsQuery    = sensorFields + "clocks_event_reasons.active"
	OldSensorsQuery = sensorFields + "clocks_throttle_reasons.active"
)

// Sensors holds the sensor values of a GPU. Unavailable values are 0.
type Sensors struct {
	// Index is nvidia-smi's index, in PCI bus order.
	Index int
	// TempC is in degrees Celsius, PowerW in watts, the clocks in MHz.
	TempC, PowerW, ClockMHz, MemoryClockMHz float64
	// Slowed is the set of reasons for reduced clocks.
	Slowed Slowdown
}

// ParseSensors parses an output line of SensorsQuery.
func ParseSensors(line string) (Sensors, error) {
	words := strings.Split(line, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	if want := strings.Count(SensorsQuery, ",") + 1; len(words) != want {
		return Sensors{}, fmt.Errorf("nvidia-smi printed %q, expected %d fields", line, want)
	}
	index, err := strconv.Atoi(words[0])
	if err != nil {
		return Sensors{}, fmt.Errorf("nvidia-smi printed %q, expected a GPU's index in front", line)
	}
	s := Sensors{Index: index}
	for i, value := range []*float64{&s.TempC, &s.PowerW, &s.ClockMHz, &s.MemoryClockMHz} {
		*value, _ = strconv.ParseFloat(words[1+i], 64) // [N/A] is 0
	}
	bits, _ := strconv.ParseUint(strings.TrimPrefix(words[5], "0x"), 16, 64)
	s.Slowed = Slowdown(bits)
	return s, nil
}

// Slowdown is a set of reasons for reduced clocks, with NVML's bits
// (nvmlClocksEventReasons in nvml.h).
type Slowdown uint64

// slowdowns are NVML's reasons that affect a miner's rate. They exclude an idle GPU
// (1), clocks set by a user (2 and 0x100) and clocks synchronized with another GPU
// (0x10).
var slowdowns = []struct {
	bit  Slowdown
	name string
}{
	{0x04, "power cap"},
	{0x08, "hardware slowdown"},
	{0x20, "thermal slowdown"},
	{0x40, "hardware thermal slowdown"},
	{0x80, "hardware power brake"},
}

// Reasons returns the names of the reasons, in NVML's order.
func (s Slowdown) Reasons() []string {
	var names []string
	for _, d := range slowdowns {
		if s&d.bit != 0 {
			names = append(names, d.name)
		}
	}
	return names
}

// Thermal reports whether the clocks are reduced because the GPU is too hot.
func (s Slowdown) Thermal() bool { return s&(0x20|0x40) != 0 }
