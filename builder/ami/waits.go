// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"sync"
	"time"
)

// waits are those of the step that runs. Those of several regions are at the
// same time, so that the longest counts.
type waits struct {
	mu      sync.Mutex
	longest time.Duration
	asked   int
}

// note is told of each wait that has ended.
func (w *waits) note(_ string, took time.Duration, questions int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest, w.asked = max(w.longest, took), w.asked+questions
}

// take returns what was noted since the last call.
func (w *waits) take() (longest time.Duration, asked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest, asked = w.longest, w.asked
	w.longest, w.asked = 0, 0
	return longest, asked
}
