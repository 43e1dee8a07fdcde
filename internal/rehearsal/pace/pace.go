// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pace says how long things take in a rehearsal, by a clock that tests
// can turn.
package pace

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Clock tells the time.
type Clock interface{ Now() time.Time }

// System is the clock of the machine.
type System struct{}

// Now returns the time of day.
func (System) Now() time.Time { return time.Now() }

// Manual is a clock that stands still until it is advanced.
type Manual struct {
	mu  sync.Mutex
	now time.Time
}

// NewManual returns a clock that stands at t.
func NewManual(t time.Time) *Manual { return &Manual{now: t} }

// Now returns the time at which the clock stands.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance turns the clock on by d.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// The models of a snapshot's progress while it is pending.
const (
	Linear = "linear" // grows with time, 99 % at most
	Steps  = "steps"  // in steps of 10 %
	None   = "none"   // says nothing
	Stuck  = "stuck"  // reaches 99 % after half of the time and stays there
)

// Profile is how long each thing takes.
type Profile struct {
	Running    time.Duration // from RunInstances or StartInstances to running
	Stopped    time.Duration // from StopInstances to stopped
	Reboot     time.Duration // from CreateImage of a running instance until it is down and its snapshots begin
	Terminated time.Duration // from TerminateInstances to terminated
	Image      time.Duration // from the beginning of the snapshots to available
	Copy       time.Duration // from CopyImage or CopySnapshot to available
	Stack      time.Duration // of each stack that an operation of a stack set changes
	NotFound   time.Duration // for how long a new id is not found
	Parameter  time.Duration // from PutParameter of an image until SSM has looked at it
	Progress   string        // Linear, Steps, None or Stuck
}

// Instant takes no time at all.
var Instant = Profile{Progress: Linear}

// Fast feels real and is over in seconds.
var Fast = Profile{
	Running: time.Second, Stopped: 1500 * time.Millisecond, Reboot: 500 * time.Millisecond, Terminated: time.Second,
	Image: 3 * time.Second, Copy: 5 * time.Second, Stack: time.Second, Parameter: 500 * time.Millisecond, Progress: Linear,
}

// Parse reads a profile: "instant", "fast" (or empty), or a list such as
// "running=9s,stopped=13s,image=31s,copy=47s,terminated=5s,notfound=200ms,progress=steps",
// in which what is absent is as in fast. The list may begin with a name.
func Parse(text string) (Profile, error) {
	p := Fast
	fields := map[string]*time.Duration{
		"running": &p.Running, "stopped": &p.Stopped, "reboot": &p.Reboot, "terminated": &p.Terminated,
		"image": &p.Image, "copy": &p.Copy, "stack": &p.Stack, "notfound": &p.NotFound, "parameter": &p.Parameter,
	}
	for i, part := range strings.Split(text, ",") {
		key, value, assigned := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case i == 0 && (part == "" || part == "fast"):
		case i == 0 && part == "instant":
			p = Instant
		case !assigned:
			return p, fmt.Errorf("latency %q: %q is neither instant, fast nor a setting such as copy=47s", text, part)
		case key == "progress":
			switch value {
			case Linear, Steps, None, Stuck:
				p.Progress = value
			default:
				return p, fmt.Errorf("latency %q: progress is %q, expected linear, steps, none or stuck", text, value)
			}
		case fields[key] == nil:
			names := []string{"progress"}
			for name := range fields {
				names = append(names, name)
			}
			sort.Strings(names)
			return p, fmt.Errorf("latency %q: nothing is called %q, expected one of %s", text, key, strings.Join(names, ", "))
		default:
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return p, fmt.Errorf("latency %q: %s is %q, expected a duration such as 9s", text, key, value)
			}
			*fields[key] = d
		}
	}
	return p, nil
}

// Percent returns what a pending snapshot shows as its progress after elapsed
// of total.
func (p Profile) Percent(elapsed, total time.Duration) string {
	if p.Progress == None || total <= 0 {
		return ""
	}
	if p.Progress == Stuck {
		total /= 2
	}
	percent := min(99, int(100*float64(elapsed)/float64(total)))
	if p.Progress == Steps {
		percent -= percent % 10
	}
	return strconv.Itoa(max(0, percent)) + "%"
}
