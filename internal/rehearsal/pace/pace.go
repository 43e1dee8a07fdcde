// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pace defines the delays of a rehearsal, and a clock that tests can
// control.
package pace

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Clock returns the current time.
type Clock interface{ Now() time.Time }

// System is the system clock.
type System struct{}

// Now returns the current time.
func (System) Now() time.Time { return time.Now() }

// Manual is a clock that changes only when it is advanced.
type Manual struct {
	mu  sync.Mutex
	now time.Time
}

// NewManual returns a clock set to t.
func NewManual(t time.Time) *Manual { return &Manual{now: t} }

// Now returns the time of the clock.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance advances the clock by d.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// Models of the reported progress of a pending snapshot.
const (
	Linear = "linear" // grows with time, at most 99 %
	Steps  = "steps"  // in steps of 10 %
	None   = "none"   // not reported
	Stuck  = "stuck"  // reaches 99 % after half of the time and stays there
)

// Profile contains the delay of each operation.
type Profile struct {
	Running    time.Duration // from RunInstances or StartInstances to running
	Stopped    time.Duration // from StopInstances to stopped
	Reboot     time.Duration // from CreateImage of a running instance until it is shut down and its snapshots start
	Terminated time.Duration // from TerminateInstances to terminated
	Image      time.Duration // from the start of the snapshots to available
	Copy       time.Duration // from CopyImage or CopySnapshot to available
	Stack      time.Duration // least duration of each change of a stack
	Signal     time.Duration // longest wait of a stack for signals, and longest pause of an update; 0 for those of the template
	Group      time.Duration // from a failed launch of an Auto Scaling group to the next
	NotFound   time.Duration // time during which a new id is neither found nor listed
	Name       time.Duration // from DeregisterImage until the name is free again
	Parameter  time.Duration // from PutParameter of an image until SSM has validated the image
	Progress   string        // Linear, Steps, None or Stuck
}

// Instant has no delays.
var Instant = Profile{Progress: Linear}

// Fast has realistic but short delays of seconds.
var Fast = Profile{
	Running: time.Second, Stopped: 1500 * time.Millisecond, Reboot: 500 * time.Millisecond, Terminated: time.Second,
	NotFound: 2 * time.Second, Image: 3 * time.Second, Copy: 5 * time.Second, Name: 2 * time.Second, Stack: time.Second, Signal: 5 * time.Minute, Group: 2 * time.Second, Parameter: 500 * time.Millisecond, Progress: Linear,
}

// Parse parses a profile: "instant", "fast" (or empty), or a list such as
// "running=9s,stopped=13s,image=31s,copy=47s,terminated=5s,notfound=200ms,progress=steps".
// Settings that are not in the list are those of fast. The list may begin with a name.
func Parse(text string) (Profile, error) {
	p := Fast
	fields := map[string]*time.Duration{
		"running": &p.Running, "stopped": &p.Stopped, "reboot": &p.Reboot, "terminated": &p.Terminated,
		"image": &p.Image, "copy": &p.Copy, "stack": &p.Stack, "signal": &p.Signal, "group": &p.Group, "notfound": &p.NotFound, "name": &p.Name, "parameter": &p.Parameter,
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, part := range strings.Split(text, ",") {
		key, value, assigned := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case i == 0 && (part == "" || part == "fast"):
		case i == 0 && part == "instant":
			p = Instant
		case !assigned:
			fail("latency %q: got %q, want instant, fast or a setting such as copy=47s", text, part)
		case key == "progress":
			switch value {
			case Linear, Steps, None, Stuck:
				p.Progress = value
			default:
				fail("latency %q: progress: got %q, want linear, steps, none or stuck", text, value)
			}
		case fields[key] == nil:
			names := []string{"progress"}
			for name := range fields {
				names = append(names, name)
			}
			sort.Strings(names)
			fail("latency %q: unknown setting %q, want one of %s", text, key, strings.Join(names, ", "))
		default:
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				fail("latency %q: %s: got %q, want a duration such as 9s", text, key, value)
			}
			*fields[key] = d
		}
	}
	return p, errors.Join(errs...)
}

// Percent returns the reported progress of a pending snapshot after elapsed of
// total.
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
