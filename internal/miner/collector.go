// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "slices"

// ethminer collects the rates of its devices every 5 s (Farm's m_collectInterval)
// and prints them every --display-interval: with 1, each collection appears in five
// lines, or in six if the two timers drift.
const collectionLines = 6

// StopLines is the number of lines without a rate after which a device counts as
// stopped. A late collection prints 0 until the next one, for about 5 lines.
const StopLines = 10

// Collector turns status lines, printed once per second, into the miner's
// collections: repeated lines are not separate measurements. A collection in which a
// device shows no rate for less than StopLines lines is late: it is only counted, in
// Late. The zero value is ready to use.
type Collector struct {
	// Late is the number of late collections.
	Late int

	last   Status // collection of the last line
	lines  int    // number of lines of that collection
	mined  []string
	absent map[string]int // successive lines without a rate, by device that has mined
	held   []Status       // collections that may be late
}

// farm is the key for all devices together.
const farm = ""

// Add processes the next status line and returns the collections that it completes,
// in order.
func (c *Collector) Add(s Status) []Status {
	again := c.lines > 0 && c.lines < collectionLines && sameRates(c.last, s)
	if again {
		c.lines++
	} else {
		c.last, c.lines = s, 1
	}
	missing, stopped := c.count(s)
	if missing {
		if !again {
			c.held = append(c.held, s)
		}
		if !stopped {
			return nil
		}
		settled := c.held // they were not late: mining had stopped
		c.held = nil
		return settled
	}
	c.Late += len(c.held)
	c.held = nil
	if again {
		return nil
	}
	return []Status{s}
}

// Begin makes the next line the first of a collection, so that a window shorter than a
// collection still contains one.
func (c *Collector) Begin() { c.lines = 0 }

// Undecided reports whether the last collections may be late or mining has stopped.
func (c *Collector) Undecided() bool { return len(c.held) > 0 }

// count records which devices show a rate. missing is true if a device that has mined
// shows none, stopped if it has shown none for StopLines lines.
func (c *Collector) count(s Status) (missing, stopped bool) {
	rates := map[string]Rate{farm: s.Rate}
	for _, d := range s.Devices {
		rates[d.Name] = d.Rate
	}
	for name, rate := range rates {
		if rate > 0 && !slices.Contains(c.mined, name) {
			c.mined = append(c.mined, name)
		}
	}
	if c.absent == nil {
		c.absent = map[string]int{}
	}
	for _, name := range c.mined {
		if rates[name] > 0 {
			c.absent[name] = 0
			continue
		}
		c.absent[name]++
		missing = true
		stopped = stopped || c.absent[name] >= StopLines
	}
	return missing, stopped
}

// sameRates compares all rates of two lines.
func sameRates(x, y Status) bool {
	return x.Rate == y.Rate && slices.EqualFunc(x.Devices, y.Devices, func(d, e Device) bool { return d.Name == e.Name && d.Rate == e.Rate })
}
