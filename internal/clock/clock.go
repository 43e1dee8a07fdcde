// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package clock is the time of a build's waits, timeouts and retries. The fault sweep
// links a plugin whose clock runs faster, because the waits for AWS last minutes. It is
// not the time of day: lifetimes and costs use package time.
package clock

import (
	"context"
	"strconv"
	"time"
)

// rate is the speed of the clock: with 20, a wait of one minute takes three seconds.
// Only the linker sets it (-X).
var rate = "1"

var (
	speed = speedOf(rate)
	start = time.Now()
)

func speedOf(rate string) time.Duration {
	n, err := strconv.Atoi(rate)
	if err != nil || n < 1 {
		panic("clock: the linker set rate to " + strconv.Quote(rate) + ", want a whole number of at least 1")
	}
	return time.Duration(n)
}

// Fast reports whether the clock is faster than real time.
func Fast() bool { return speed > 1 }

// Now returns the time of the clock.
func Now() time.Time {
	if !Fast() {
		return time.Now()
	}
	return start.Add(time.Since(start) * speed)
}

// Since returns the clock's time since t, which Now has returned.
func Since(t time.Time) time.Duration { return Now().Sub(t) }

// Real returns how long d on the clock takes.
func Real(d time.Duration) time.Duration { return d / speed }

// After is time.After on the clock.
func After(d time.Duration) <-chan time.Time { return time.After(Real(d)) }

// WithTimeout is context.WithTimeout on the clock.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, Real(d))
}
