// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Peers are similar operations that run at the same time, such as the copies of an
// image to several regions. Without progress, their waits take turns: together they poll
// as often as a single wait would, and an end leads to a request of each other wait. So
// the last end is noticed as soon as with a wait for each, with a fraction of the
// requests. The zero value has no members.
type Peers struct {
	// Likely is when the first end may be expected, such as after the time that a
	// similar operation took; 0 if unknown. Before, the waits poll less often.
	Likely time.Duration

	mu      sync.Mutex
	members []*member
}

// member is one wait of the peers.
type member struct {
	peers *Peers
	woken chan struct{} // has room for one
	fresh bool          // the next pause is the first one since an end
	told  bool          // progress is reported, so that the wait takes no turns
}

// join adds a wait. A nil receiver has no members, and returns nil.
func (p *Peers) join() *member {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &member{peers: p, woken: make(chan struct{}, 1), fresh: true}
	p.members = append(p.members, m)
	return m
}

// leave removes a wait. If its operation is done, the other waits poll at once.
func (m *member) leave(done bool) {
	if m == nil {
		return
	}
	m.peers.mu.Lock()
	defer m.peers.mu.Unlock()
	m.peers.members = slices.DeleteFunc(m.peers.members, func(other *member) bool { return other == m })
	if !done {
		return
	}
	for _, other := range m.peers.members {
		select {
		case other.woken <- struct{}{}:
		default:
		}
	}
}

// pause returns the time until the wait's next turn. After an end the turns are dealt
// again; each later pause spans a turn of every wait.
func (m *member) pause(interval, elapsed time.Duration) time.Duration {
	m.peers.mu.Lock()
	defer m.peers.mu.Unlock()
	turns, own := 0, 0
	for _, other := range m.peers.members {
		if !other.told {
			turns++
		}
		if other == m {
			own = turns
		}
	}
	if m.fresh {
		turns = own
	}
	m.fresh = false
	if likely := m.peers.Likely; elapsed < likely { // at the latest at the wait's first turn then
		return min(span(interval, elapsed, early, turns), likely-elapsed+span(interval, likely, inTurn, own))
	}
	return span(interval, elapsed, inTurn, turns)
}

// span returns the length of a number of turns, each of a fraction of the elapsed time
// in thousandths, or of an interval if that is longer.
func span(interval, elapsed time.Duration, part, turns int) time.Duration {
	grown := math.Pow(1+float64(part)/1000, float64(turns)) - 1
	return max(time.Duration(turns)*interval, time.Duration(grown*float64(elapsed)))
}

// tell ends the wait's turns.
func (m *member) tell() {
	if m == nil {
		return
	}
	m.peers.mu.Lock()
	defer m.peers.mu.Unlock()
	m.told = true
}

// rest waits for d, for the end of a peer or for the end of the context.
func (m *member) rest(ctx context.Context, clock Clock, d time.Duration) error {
	select {
	case <-ctx.Done():
	case <-clock.After(d):
	case <-m.woken:
		m.fresh = true
	}
	return ctx.Err()
}
