// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cadence

import (
	"slices"
	"testing"
	"time"
)

func TestCadence(t *testing.T) {
	c := Cadence{First: time.Minute, Longest: 15 * time.Minute}
	var due []time.Duration
	for now := time.Duration(0); now <= time.Hour; now += 10 * time.Second {
		if c.Due(now) {
			due = append(due, now/time.Minute)
		}
	}
	if want := []time.Duration{1, 3, 7, 15, 30, 45, 60}; !slices.Equal(due, want) {
		t.Errorf("lines after %d minutes, want %d", due, want)
	}
}

// TestLateLine: a line that is printed late moves the later ones.
func TestLateLine(t *testing.T) {
	c := Cadence{First: time.Second, Longest: time.Minute}
	if c.Due(0) || !c.Due(10*time.Second) || c.Due(11*time.Second) || c.Next() != 12*time.Second {
		t.Errorf("the next line is due after %s, want 12s", c.Next())
	}
}
