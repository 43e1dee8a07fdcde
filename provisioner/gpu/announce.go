// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

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

// phaseUI records whether the phase that runs has printed anything.
type phaseUI struct {
	packersdk.Ui
	printed *atomic.Bool
}

func (u phaseUI) Say(text string) {
	u.printed.Store(true)
	u.Ui.Say(text)
}
func (u phaseUI) Sayf(format string, args ...any) { u.Say(fmt.Sprintf(format, args...)) }
func (u phaseUI) Error(text string) {
	u.printed.Store(true)
	u.Ui.Error(text)
}
func (u phaseUI) Errorf(format string, args ...any) { u.Error(fmt.Sprintf(format, args...)) }

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
	r.ui.printed.Store(false)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		begun := time.Now()
		lines := cadence.Cadence{First: firstLine, Longest: longestLine}
		next := time.NewTimer(startLine)
		defer next.Stop()
		select {
		case <-next.C:
			if !r.ui.printed.Load() {
				r.ui.Sayf("%s: started", phase)
			}
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
