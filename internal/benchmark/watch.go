// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package benchmark follows a miner's output, compares it with the miner's API, the
// GPUs' sensors and the memory's limit, and decides whether a benchmark passes.
package benchmark

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// recentLines limits the miner's lines in a message, not counting its status line.
const recentLines = 5

// endingCollections is the number of last collections that decide whether a miner
// or device still mines.
const endingCollections = 2

// Watch follows a miner's output: it counts from the start and samples while its
// window is open. It is safe for concurrent use.
type Watch struct {
	// Mining is closed at the first rate above zero, Failed at the first line that
	// reports a device failure.
	Mining, Failed chan struct{}

	mu        sync.Mutex
	open      bool
	opened    time.Time
	samples   miner.Samples
	collector miner.Collector
	steady    miner.Steady // of the rates above zero
	devices   map[string]*deviceSamples
	last      miner.Status
	accepted  uint64
	rejected  uint64
	incorrect uint64
	dag       time.Duration // of the slowest device

	// The window's last collections, the late collections before it, and the time
	// of the last status line. ceased holds failure lines since the first rate: a
	// miner whose kernel fails may show a higher rate than before.
	ending  []miner.Status
	late    int
	sampled time.Time
	silence time.Duration // from then to the window's end
	ceased  []string

	failures []string
	recent   []string

	lastStatus string // as it was printed
	over       bool   // ignore the output of the shutdown

	// Log is the local file with the full output, "" until the miner has ended.
	Log string
}

// deviceSamples holds one device's rates within the window, and its last values.
type deviceSamples struct {
	rates  miner.Samples
	points *miner.Thinned[miner.RatePoint]
	last   miner.Device
}

// NewWatch returns a watch that has seen no line.
func NewWatch() *Watch {
	return &Watch{Mining: make(chan struct{}), Failed: make(chan struct{}), devices: map[string]*deviceSamples{}}
}

// Line processes one line of the miner.
func (w *Watch) Line(text string) {
	line := miner.ParseLine(text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	if line.Text != "" && line.Kind != miner.KindStatus && line.Kind != miner.KindAPI {
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

func (w *Watch) failure(text string) {
	if len(w.failures) == 0 {
		close(w.Failed)
	}
	if len(w.failures) < recentLines {
		w.failures = append(w.failures, text)
	}
	if w.hasMined() && len(w.ceased) < recentLines {
		w.ceased = append(w.ceased, text)
	}
}

// hasMined reports whether a rate above zero was seen.
func (w *Watch) hasMined() bool {
	select {
	case <-w.Mining:
		return true
	default:
		return false
	}
}

func (w *Watch) status(s miner.Status) {
	w.last = s
	if s.Rate > 0 && !w.hasMined() {
		close(w.Mining)
	}
	if w.open {
		w.sampled = time.Now()
	}
	for _, collection := range w.collector.Add(s) {
		w.collection(collection)
	}
}

// collection processes one collection of the miner.
func (w *Watch) collection(s miner.Status) {
	if s.Rate > 0 {
		w.steady.Add(s.Rate)
	}
	if !w.open {
		return
	}
	w.samples.Add(s.Rate)
	if len(w.ending) == endingCollections {
		w.ending = append(w.ending[:0], w.ending[1:]...)
	}
	w.ending = append(w.ending, s)
	for _, d := range s.Devices {
		if w.devices[d.Name] == nil {
			w.devices[d.Name] = &deviceSamples{points: miner.NewThinned[miner.RatePoint](miner.MostPoints)}
		}
		w.devices[d.Name].rates.Add(d.Rate)
		w.devices[d.Name].points.Add(miner.RatePoint{Seconds: since(w.opened), Hashrate: d.Rate})
		w.devices[d.Name].last = d
	}
}

// Undecided reports whether the miner or a device shows no rate but may only be
// late.
func (w *Watch) Undecided() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.collector.Undecided()
}

// Measure opens or closes the window.
func (w *Watch) Measure(open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = open
	if open {
		w.opened = time.Now()
		w.sampled = w.opened
		w.late = w.collector.Late
		w.collector.Begin()
	} else {
		w.silence = time.Since(w.sampled)
	}
}

// End makes the watch ignore further lines.
func (w *Watch) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// Stable reports whether the rate is stable.
func (w *Watch) Stable() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steady.Stable()
}

// Shares returns the accepted and rejected shares so far.
func (w *Watch) Shares() (accepted, rejected uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.accepted, w.last.Accepted), max(w.rejected, w.last.Rejected)
}

// Rate returns the last rate.
func (w *Watch) Rate() miner.Rate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.Rate
}

// Fill writes the results into a report. Solutions are counted by their lines and in
// status lines; the greater count is the one that missed no line.
func (w *Watch) Fill(r *miner.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stats := w.samples.Stats()
	r.Samples, r.Hashrate, r.Min, r.Max = stats.Samples, stats.Median, stats.Min, stats.Max
	r.P5, r.P95, r.Variation = stats.P5, stats.P95, stats.Variation
	r.LateCollections = w.collector.Late - w.late
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
	r.Series = nil
	for _, d := range r.Devices {
		r.Series = append(r.Series, miner.Series{Device: d.Name, Rates: slices.Clone(w.devices[d.Name].points.Kept())})
	}
	r.DAGSeconds, r.SilentSeconds, r.Failures = w.dag.Seconds(), w.silence.Round(time.Millisecond).Seconds(), slices.Clone(w.ceased)
	for _, s := range w.ending {
		r.Last = max(r.Last, s.Rate)
	}
	r.Accepted = max(w.accepted, w.last.Accepted)
	r.Rejected = max(r.Rejected, w.rejected, w.last.Rejected)
	r.Incorrect = max(w.incorrect, w.last.Failed)
}

// since returns the seconds since a time, rounded to tenths.
func since(t time.Time) float64 { return time.Since(t).Round(100 * time.Millisecond).Seconds() }

// lastOf returns a device's greatest rate in the window's last collections.
func (w *Watch) lastOf(name string) (last miner.Rate) {
	for _, s := range w.ending {
		for _, d := range s.Devices {
			if d.Name == name {
				last = max(last, d.Rate)
			}
		}
	}
	return last
}

// evidence returns the lines for a message: those that name a failure (telling), or
// else the last lines with one status line.
func (w *Watch) evidence() (lines []string, telling bool) {
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
