// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cadence"
	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
)

const (
	// startLine is how long a phase runs before its start is printed: a short phase has
	// one line, the one that ends it.
	startLine = 2 * time.Second
	// firstLine and longestLine are the times before the first progress line of a
	// phase, and at most between two of them.
	firstLine   = 15 * time.Second
	longestLine = 5 * time.Minute
)

// status describes what a phase is doing, for its progress lines.
type status struct{ text atomic.Pointer[func() string] }

// set replaces the description until the returned function is called.
func (s *status) set(text func() string) (unset func()) {
	before := s.text.Swap(&text)
	return func() { s.text.Store(before) }
}

// clear removes the description.
func (s *status) clear() { s.text.Store(nil) }

// announce prints, until end is called, that a phase has started and how far it is.
func (r *run) announce(phase string) (end func()) {
	r.ui.Machine(machinereadable.Phase, phase, machinereadable.Started, "")
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		begun := time.Now()
		lines := cadence.Cadence{First: firstLine, Longest: longestLine}
		next := time.NewTimer(startLine)
		defer next.Stop()
		select {
		case <-next.C:
			r.ui.Sayf("%s: started", phase)
		case <-over:
			return
		}
		for {
			next.Reset(lines.Next() - time.Since(begun))
			select {
			case <-next.C:
				r.ui.Sayf("%s: %s", phase, r.progress(time.Since(begun)))
				lines.Due(time.Since(begun))
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		<-ended
		r.status.clear()
	}
}

// progress returns what the phase is doing, else how long it has run.
func (r *run) progress(elapsed time.Duration) string {
	if text := r.status.text.Load(); text != nil {
		return (*text)()
	}
	return "running for " + took(elapsed.Round(time.Second))
}

// tell reports the end of a phase to programs.
func (r *run) tell(phase, state string, spent time.Duration) {
	r.ui.Machine(machinereadable.Phase, phase, state, strconv.FormatFloat(spent.Seconds(), 'f', 1, 64))
}
