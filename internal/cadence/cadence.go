// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cadence decides when a long wait prints its next line.
package cadence

import "time"

// Cadence spaces the lines of a wait. The first one is due after First; the time
// between two lines doubles, up to Longest. So a short wait prints nothing, and an hour
// a few lines.
type Cadence struct {
	First, Longest time.Duration

	between, next time.Duration
}

// Next returns when the next line is due, as a time since the start of the wait.
func (c *Cadence) Next() time.Duration {
	if c.between == 0 {
		c.between, c.next = c.First, c.First
	}
	return c.next
}

// Due reports whether a line is due at a time since the start. If so, it schedules the
// next one.
func (c *Cadence) Due(elapsed time.Duration) bool {
	if elapsed < c.Next() {
		return false
	}
	c.between = min(2*c.between, c.Longest)
	c.next = elapsed + c.between
	return true
}
