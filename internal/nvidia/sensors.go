// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"fmt"
	"strconv"
	"strings"
)

// SensorsQuery is what nvidia-smi is asked for a line that ParseSensors reads,
// with --format=csv,noheader,nounits; OldSensorsQuery is the same for drivers
// that know the last field by its earlier name only.
const (
	sensorFields    = "index,temperature.gpu,power.draw,clocks.sm,clocks.mem,"
	SensorsQuery    = sensorFields + "clocks_event_reasons.active"
	OldSensorsQuery = sensorFields + "clocks_throttle_reasons.active"
)

// Sensors are a GPU's at one moment. What the GPU does not tell is 0.
type Sensors struct {
	// Index is nvidia-smi's, in the order of the PCI bus.
	Index int
	// TempC is in degrees Celsius, PowerW in watts, the clocks in MHz.
	TempC, PowerW, ClockMHz, MemoryClockMHz float64
	// Slowed are the reasons why the clocks are lower than they could be.
	Slowed Slowdown
}

// ParseSensors reads a line that SensorsQuery asks for.
func ParseSensors(line string) (Sensors, error) {
	words := strings.Split(line, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	if want := strings.Count(SensorsQuery, ",") + 1; len(words) != want {
		return Sensors{}, fmt.Errorf("nvidia-smi says %q, expected %d fields", line, want)
	}
	index, err := strconv.Atoi(words[0])
	if err != nil {
		return Sensors{}, fmt.Errorf("nvidia-smi says %q, expected a GPU's index in front", line)
	}
	s := Sensors{Index: index}
	for i, value := range []*float64{&s.TempC, &s.PowerW, &s.ClockMHz, &s.MemoryClockMHz} {
		*value, _ = strconv.ParseFloat(words[1+i], 64) // [N/A] is 0
	}
	bits, _ := strconv.ParseUint(strings.TrimPrefix(words[5], "0x"), 16, 64)
	s.Slowed = Slowdown(bits)
	return s, nil
}

// Slowdown is a set of reasons why a GPU's clocks are not at their highest, as
// NVML numbers them (nvmlClocksEventReasons in nvml.h).
type Slowdown uint64

// slowdowns are NVML's reasons that a miner's rate can suffer from. An idle GPU
// (1), clocks that a person has set (2 and 0x100) and those that follow another
// GPU's (0x10) are none.
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

// Reasons are the reasons' names, in NVML's order.
func (s Slowdown) Reasons() []string {
	var names []string
	for _, d := range slowdowns {
		if s&d.bit != 0 {
			names = append(names, d.name)
		}
	}
	return names
}

// Thermal says whether the GPU is slowed because it is too hot.
func (s Slowdown) Thermal() bool { return s&(0x20|0x40) != 0 }
