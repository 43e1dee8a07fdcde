// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// recentLines is how many of the miner's last lines a message may show, its
// status not counted.
const recentLines = 5

// endingLines is by how many of its last status lines it is judged whether a
// miner, or a device of it, still mines. One alone may be cut.
const endingLines = 5

// watch follows a miner's output: it counts from the start and samples while
// its window is open. Its methods may be called from several goroutines.
type watch struct {
	// mining is closed at the first rate above zero, failed at the first line
	// that names why a device cannot mine.
	mining, failed chan struct{}

	mu        sync.Mutex
	open      bool
	samples   miner.Samples
	steady    miner.Steady // of the rates above zero
	devices   map[string]*deviceSamples
	last      miner.Status
	accepted  uint64
	rejected  uint64
	incorrect uint64
	dag       time.Duration // the slowest device's

	// Of the window: the last few status lines and when the last one came, and
	// the lines that name a failure.
	ending  []miner.Status
	sampled time.Time
	silence time.Duration // from then to the window's end
	ceased  []string

	failures []string
	recent   []string

	lastStatus string // as it was printed
	over       bool   // what the miner says as it ends tells nothing

	// log is the local file with the whole output, "" until the miner has
	// ended.
	log string
}

// deviceSamples are one device's rates within the window, and what it told last.
type deviceSamples struct {
	rates miner.Samples
	last  miner.Device
}

func newWatch() *watch {
	return &watch{mining: make(chan struct{}), failed: make(chan struct{}), devices: map[string]*deviceSamples{}}
}

// line reads one line of the miner.
func (w *watch) line(text string) {
	line := miner.ParseLine(text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	if line.Text != "" && line.Kind != miner.KindStatus {
		if len(w.recent) == recentLines {
			w.recent = append(w.recent[:0], w.recent[1:]...)
		}
		w.recent = append(w.recent, line.Text)
	}
	switch line.Kind {
	case miner.KindStatus:
		w.lastStatus = line.Text
		w.status(line.Status)
	case miner.KindAccepted, miner.KindStale:
		w.accepted++
	case miner.KindRejected:
		w.rejected++
	case miner.KindIncorrect:
		w.incorrect++
	case miner.KindDAG:
		w.dag = max(w.dag, line.Took)
	case miner.KindFailure:
		w.failure(line.Text)
	}
}

func (w *watch) failure(text string) {
	if len(w.failures) == 0 {
		close(w.failed)
	}
	if len(w.failures) < recentLines {
		w.failures = append(w.failures, text)
	}
	if w.open && len(w.ceased) < recentLines {
		w.ceased = append(w.ceased, text)
	}
}

func (w *watch) status(s miner.Status) {
	w.last = s
	if s.Rate > 0 {
		select {
		case <-w.mining:
		default:
			close(w.mining)
		}
		w.steady.Add(s.Rate)
	}
	if !w.open {
		return
	}
	w.samples.Add(s.Rate)
	w.sampled = time.Now()
	if len(w.ending) == endingLines {
		w.ending = append(w.ending[:0], w.ending[1:]...)
	}
	w.ending = append(w.ending, s)
	for _, d := range s.Devices {
		if w.devices[d.Name] == nil {
			w.devices[d.Name] = &deviceSamples{}
		}
		w.devices[d.Name].rates.Add(d.Rate)
		w.devices[d.Name].last = d
	}
}

// measure opens or closes the window.
func (w *watch) measure(open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = open
	if open {
		w.sampled = time.Now()
	} else {
		w.silence = time.Since(w.sampled)
	}
}

// end makes the watch deaf.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// stable says whether the rate does not drift any more.
func (w *watch) stable() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steady.Stable()
}

// shares are what a pool has said to solutions so far.
func (w *watch) shares() (accepted, rejected uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.accepted, w.last.Accepted), max(w.rejected, w.last.Rejected)
}

// rate is the last rate that was seen.
func (w *watch) rate() miner.Rate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.Rate
}

// fill writes what was seen into a report. Status lines count solutions too;
// the greater of the two counts is the one that missed no line.
func (w *watch) fill(r *miner.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stats := w.samples.Stats()
	r.Samples, r.Hashrate, r.Min, r.Max = stats.Samples, stats.Median, stats.Min, stats.Max
	r.P5, r.P95, r.Variation = stats.P5, stats.P95, stats.Variation
	if r.Limit > 0 {
		r.LimitShare = float64(r.Hashrate / r.Limit)
	}
	r.Devices = nil
	for name, d := range w.devices {
		own := d.rates.Stats()
		r.Devices = append(r.Devices, miner.DeviceReport{
			Name: name, Samples: own.Samples, Hashrate: own.Median, P5: own.P5, P95: own.P95, Variation: own.Variation,
			Last: w.lastOf(name), TempC: d.last.TempC, PowerW: d.last.PowerW,
		})
	}
	slices.SortFunc(r.Devices, func(x, y miner.DeviceReport) int {
		return cmp.Or(cmp.Compare(len(x.Name), len(y.Name)), cmp.Compare(x.Name, y.Name)) // cu2 before cu10
	})
	r.DAGSeconds, r.SilentSeconds, r.Failures = w.dag.Seconds(), w.silence.Round(time.Millisecond).Seconds(), slices.Clone(w.ceased)
	for _, s := range w.ending {
		r.Last = max(r.Last, s.Rate)
	}
	r.Accepted = max(w.accepted, w.last.Accepted)
	r.Rejected = max(r.Rejected, w.rejected, w.last.Rejected)
	r.Incorrect = max(w.incorrect, w.last.Failed)
}

// lastOf is a device's greatest rate in the window's last lines.
func (w *watch) lastOf(name string) (last miner.Rate) {
	for _, s := range w.ending {
		for _, d := range s.Devices {
			if d.Name == name {
				last = max(last, d.Rate)
			}
		}
	}
	return last
}

// evidence is what a message shows: the lines that name a failure (telling),
// or else the last ones, of its status only one.
func (w *watch) evidence() (lines []string, telling bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failures) > 0 {
		return slices.Clone(w.failures), true
	}
	lines = slices.Clone(w.recent)
	if w.lastStatus != "" {
		lines = append(lines, w.lastStatus)
	}
	return lines, false
}
