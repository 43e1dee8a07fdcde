// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// copies runs waits for operations of the given durations at the same time. It returns
// when the last one has noticed its end, and the number of requests.
func copies(t *testing.T, durations []time.Duration, percent func(elapsed, total time.Duration) int, peers *Peers) (took time.Duration, asked int64) {
	var requests atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var wg sync.WaitGroup
		for _, total := range durations {
			wg.Go(func() {
				err := Waiter{Interval: time.Second, First: 10 * time.Second, Timeout: 3 * time.Hour, Peers: peers}.
					Follow(t.Context(), "a copy", func(context.Context, bool) (Progress, error) {
						requests.Add(1)
						elapsed := time.Since(begun)
						return Progress{Done: elapsed >= total, Percent: percent(elapsed, total)}, nil
					}, nil)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		took = time.Since(begun)
	})
	return took, requests.Load()
}

// TestPeers compares waits that take turns with waits on their own. The last end is
// noticed within 3 % or a second. Waits of similar length need at most a third of the
// requests, and half of them if one wait takes longer than all others.
func TestPeers(t *testing.T) {
	spread := func(n int, first, last time.Duration) (list []time.Duration) {
		for i := range n {
			list = append(list, first+(last-first)*time.Duration(i)/time.Duration(max(1, n-1)))
		}
		return list
	}
	for name, durations := range map[string][]time.Duration{
		"7 equal":             spread(7, 112*time.Second, 112*time.Second),
		"31 equal":            spread(31, 521*time.Second, 521*time.Second),
		"7, slightly apart":   spread(7, 100*time.Second, 130*time.Second),
		"7, far apart":        spread(7, 60*time.Second, 10*time.Minute),
		"31, far apart":       spread(31, 5*time.Minute, 30*time.Minute),
		"7, one of them slow": append(spread(6, 2*time.Minute, 3*time.Minute), time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			last := durations[len(durations)-1]
			_, alone := copies(t, durations, curves["none"], nil)
			took, asked := copies(t, durations, curves["none"], new(Peers))
			most := alone / 3
			if last > 2*durations[len(durations)-2] {
				most = alone / 2
			}
			if late := took - last; late > max(time.Second, last*inTurn/1000) {
				t.Errorf("the last end was noticed %s late, of %s", late, last)
			}
			if asked > most {
				t.Errorf("%d requests, want at most %d; %d without turns", asked, most, alone)
			}
			t.Logf("%s: %d requests instead of %d, %s late", last, asked, alone, took-last)
		})
	}
}

// TestPeersWithProgress checks that waits with progress are not slower beside others
// without.
func TestPeersWithProgress(t *testing.T) {
	durations := []time.Duration{10 * time.Minute, 10 * time.Minute, 10 * time.Minute}
	took, asked := copies(t, durations, curves["linear"], nil)
	tookPeers, askedPeers := copies(t, durations, curves["linear"], new(Peers))
	if tookPeers > took+time.Second || askedPeers > asked {
		t.Errorf("with peers: %s and %d requests, without: %s and %d", tookPeers, askedPeers, took, asked)
	}
}
