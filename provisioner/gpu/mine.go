// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// errEnded is returned when a miner ends that should have gone on.
var errEnded = errors.New("the miner ended by itself")

// mine runs the miner, whose lines r.watch reads, for as long as do takes, and
// then ends it, if it did not end by itself. do gets what the run came to.
func (r *run) mine(ctx context.Context, s script, do func(ended <-chan error) error) error {
	s.lines = r.watch.line
	ended := make(chan error, 1)
	go func() {
		_, err := r.machine.run(ctx, s)
		ended <- err
		close(ended)
	}()
	err := do(ended)
	r.watch.end()
	if ctx.Err() != nil {
		for range ended { // the run itself stops the miner then, and waits a moment only
		}
	} else if !errors.Is(err, errEnded) {
		r.machine.stop(s, "INT", "TERM", "KILL")
		select {
		case last := <-ended: // nil when it was read before
			r.watch.log = logFile(last)
		case <-time.After(endGrace):
		}
	}
	return err
}

// deviceArg is the miner's option for what it mines on.
func (r *run) deviceArg() string {
	if r.found.device == deviceCUDA {
		return "-U"
	}
	return "--cpu"
}

// pause lets the miner run and says its rate now and then; it ends early when
// enough, unless that is nil, says so.
func (r *run) pause(ctx context.Context, ended <-chan error, length time.Duration, doing string, enough func() bool) error {
	over := time.NewTimer(length)
	defer over.Stop()
	say := time.NewTicker(sayEvery)
	defer say.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	start := r.now()
	for {
		select {
		case <-over.C:
			return nil
		case <-look.C:
			if enough != nil && enough() {
				return nil
			}
		case <-say.C:
			r.ui.Sayf("%s, %s after %s of %s", doing, r.watch.rate(), took(r.now().Sub(start)), length)
		case err := <-ended:
			return r.endedEarly(ctx, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *run) endedEarly(ctx context.Context, err error) error {
	var failed *errScript
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &failed) || failed.lost:
		return err
	}
	r.watch.log = failed.log
	return fmt.Errorf("%w (%s)", errEnded, failed.reason)
}

// remedy is what the miner's lines call for, or else the usual one.
func (r *run) remedy(usual string) string {
	if cause := r.cause(); cause != "" {
		return cause
	}
	return usual
}

// shown is what the miner said, for the end of a message: the lines that name
// a failure; for want of those its last ones, if wanted.
func (r *run) shown(last bool) string {
	lines, telling := r.watch.evidence()
	text := ""
	switch {
	case len(lines) == 0:
		text = "; the miner printed nothing"
	case telling || last:
		text = "; the miner printed:\n  " + strings.Join(lines, "\n  ")
	}
	if r.watch.log != "" {
		text += "\nits whole output is in " + r.watch.log
	}
	return text
}
