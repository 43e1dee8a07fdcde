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
	longest time.Duration
	asked   int
}

// Note records a wait that has ended; see Waiter.Note.
func (t *Tally) Note(_ string, took time.Duration, questions int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.longest, t.asked = max(t.longest, took), t.asked+questions
}

// Take returns the waits recorded since the last call.
func (t *Tally) Take() (longest time.Duration, asked int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	longest, asked = t.longest, t.asked
	t.longest, t.asked = 0, 0
	return longest, asked
}
