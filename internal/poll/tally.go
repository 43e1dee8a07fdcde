// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import (
	"sync"
	"time"
)

// Tally collects waits. Waits in several regions are concurrent, so the longest
// counts.
type Tally struct {
	mu      sync.Mutex
	longest Waited
	asked   int
}

// Waited is the duration of a wait and the maximum of its overshoot; see Waiter.Note.
type Waited struct{ Took, Overshoot time.Duration }

// Note records a wait that has ended; see Waiter.Note.
func (t *Tally) Note(_ string, took, overshoot time.Duration, questions int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if took >= t.longest.Took {
		t.longest = Waited{took, overshoot}
	}
	t.asked += questions
}

// Take returns the longest wait recorded since the last call, and the requests of all.
func (t *Tally) Take() (longest Waited, asked int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	longest, asked = t.longest, t.asked
	t.longest, t.asked = Waited{}, 0
	return longest, asked
}
