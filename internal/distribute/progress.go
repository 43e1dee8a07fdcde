// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cadence"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// The time before the first progress line of a wait, and the longest time between
// two lines. An hour has eight lines.
const (
	firstLine   = 20 * time.Second
	longestLine = 15 * time.Minute
)

// Pending is an image that is not available yet.
type Pending struct {
	// Place is its region, with its account if that is not the build's.
	Place string
	Image Image
	// Percent is the progress of its snapshots, or poll.Unknown. Between two responses
	// it is estimated from the expected end.
	Percent int
	// Left is the expected time until it is available; 0 if unknown.
	Left time.Duration
}

// observed is the last response about a pending image.
type observed struct {
	place   string
	image   Image
	percent int
	at, end time.Time // of the response, and the expected end; zero if unknown
}

// pending returns the state of the image at a time after the response. Images are
// polled at different times, and a line compares them.
func (o observed) pending(now time.Time) Pending {
	p := Pending{Place: o.place, Image: o.image, Percent: o.percent}
	if left := o.end.Sub(now); left > 0 {
		p.Left = left
		p.Percent += int(float64(lastTold-o.percent) * float64(now.Sub(o.at)) / float64(o.end.Sub(o.at)))
	}
	return p
}

// Progress prints how far images are that are created at the same time: now and then one
// line about all of them.
type Progress struct {
	// Say prints a line.
	Say func(line string)
	// Each, if set, is called for each pending image when a line is printed.
	Each func(Pending)
	// Images is the number of images, and What names them; empty for a single image.
	Images int
	What   string
	Clock  poll.Clock

	mu                sync.Mutex
	begun             time.Time
	cadence           cadence.Cadence
	available, failed int
	waits             map[string]observed // by image id
}

func (p *Progress) now() time.Time {
	if p.Clock == nil {
		return poll.Wall{}.Now()
	}
	return p.Clock.Now()
}

// follow returns the callback for the poll results of an image. p may be nil.
func (p *Progress) follow(image Image) func(poll.Forecast, time.Duration) {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun.IsZero() {
		p.begun, p.waits = p.now(), map[string]observed{}
		p.cadence = cadence.Cadence{First: firstLine, Longest: longestLine}
	}
	place := image.Region
	if image.Account != "" {
		place = image.Account + ", " + place
	}
	p.waits[image.ID] = observed{place: place, image: image, percent: poll.Unknown}
	return func(f poll.Forecast, elapsed time.Duration) { p.saw(image.ID, f, elapsed) }
}

// saw records a poll result, and prints a line if one is due.
func (p *Progress) saw(id string, f poll.Forecast, elapsed time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, state := p.now(), p.waits[id]
	state.at, state.end = now, time.Time{}
	if f.Reported() {
		state.percent = f.Percent()
		if _, latest, ok := f.Window(); ok && latest > elapsed {
			state.end = now.Add(latest - elapsed)
		}
	}
	p.waits[id] = state
	since := now.Sub(p.begun)
	if !p.cadence.Due(since) {
		return
	}
	var all []Pending
	for _, wait := range p.waits {
		all = append(all, wait.pending(now))
	}
	slices.SortFunc(all, func(x, y Pending) int { return cmp.Or(x.Percent-y.Percent, strings.Compare(x.Place, y.Place)) })
	p.Say(p.line(all, since, now))
	if p.Each != nil {
		for _, image := range all {
			p.Each(image)
		}
	}
}

// end records that the wait for an image has ended.
func (p *Progress) end(id string, available bool) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waits, id)
	if available {
		p.available++
	}
}

// fail records that an image will not become available.
func (p *Progress) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
}

// line formats the pending images, which are sorted by their progress.
func (p *Progress) line(pending []Pending, since time.Duration, now time.Time) string {
	reported := slices.DeleteFunc(slices.Clone(pending), func(i Pending) bool { return i.Percent == poll.Unknown })
	text := ""
	switch {
	case p.What == "" && len(reported) == 0:
		text = fmt.Sprintf("%s after %s: pending, without reported progress", pending[0].Image.ID, brief(since))
	case p.What == "":
		text = fmt.Sprintf("%s after %s: %d %%", pending[0].Image.ID, brief(since), reported[0].Percent)
	default:
		text = fmt.Sprintf("%s after %s: %d of %d available", p.What, brief(since), p.available, p.Images)
		if p.failed > 0 {
			text += fmt.Sprintf(", %d failed", p.failed)
		}
		if n := len(reported); n == 1 {
			text += fmt.Sprintf(", %s %d %%", reported[0].Place, reported[0].Percent)
		} else if n > 1 {
			text += fmt.Sprintf(", pending from %d %% (%s) to %d %% (%s)", reported[0].Percent, reported[0].Place, reported[n-1].Percent, reported[n-1].Place)
		}
		if rest := len(pending) - len(reported); rest > 0 {
			text += fmt.Sprintf(", %d without reported progress", rest)
		}
		if later := p.Images - p.available - p.failed - len(pending); later > 0 {
			return text + fmt.Sprintf(", %d not started", later)
		}
	}
	left := time.Duration(0)
	for _, image := range pending {
		if image.Left == 0 {
			return text // the end is unknown
		}
		left = max(left, image.Left)
	}
	if left < time.Minute {
		return text + "; less than a minute to go"
	}
	return fmt.Sprintf("%s; expected at %s, in about %s", text, now.Add(left).Format("15:04 MST"), brief(left.Round(time.Minute)))
}

// brief formats a duration: "20s", "1m40s", from two minutes on "12m", "1h5m".
func brief(d time.Duration) string {
	unit := time.Second
	if d >= 2*time.Minute {
		unit = time.Minute
	}
	text := d.Round(unit).String()
	if whole, ok := strings.CutSuffix(text, "m0s"); ok {
		return whole + "m"
	}
	return text
}
