// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"cmp"
	"fmt"
	"maps"
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
	// Percent is the progress of its snapshots, or poll.Unknown.
	Percent int
	// Left is the expected time until it is available; 0 if unknown.
	Left time.Duration
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

	mu        sync.Mutex
	begun     time.Time
	cadence   cadence.Cadence
	available int
	pending   map[string]Pending // by image id
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
		p.begun, p.pending = p.now(), map[string]Pending{}
		p.cadence = cadence.Cadence{First: firstLine, Longest: longestLine}
	}
	place := image.Region
	if image.Account != "" {
		place = image.Account + ", " + place
	}
	p.pending[image.ID] = Pending{Place: place, Image: image, Percent: poll.Unknown}
	return func(f poll.Forecast, elapsed time.Duration) { p.saw(image.ID, f, elapsed) }
}

// saw records a poll result, and prints a line if one is due.
func (p *Progress) saw(id string, f poll.Forecast, elapsed time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.pending[id]
	state.Left = 0
	if f.Reported() {
		state.Percent = f.Percent()
		if _, latest, ok := f.Window(); ok && latest > elapsed {
			state.Left = latest - elapsed
		}
	}
	p.pending[id] = state
	now := p.now()
	if since := now.Sub(p.begun); p.cadence.Due(since) {
		all := slices.SortedFunc(maps.Values(p.pending), func(x, y Pending) int {
			return cmp.Or(x.Percent-y.Percent, strings.Compare(x.Place, y.Place))
		})
		p.Say(p.line(all, since, now))
		if p.Each != nil {
			for _, image := range all {
				p.Each(image)
			}
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
	delete(p.pending, id)
	if available {
		p.available++
	}
}

// line formats the pending images, which are sorted by their progress.
func (p *Progress) line(pending []Pending, since time.Duration, now time.Time) string {
	told := slices.DeleteFunc(slices.Clone(pending), func(i Pending) bool { return i.Percent == poll.Unknown })
	text := ""
	switch {
	case p.What == "" && len(told) == 0:
		text = fmt.Sprintf("%s after %s: pending, EC2 reports no progress", pending[0].Image.ID, brief(since))
	case p.What == "":
		text = fmt.Sprintf("%s after %s: %d %%", pending[0].Image.ID, brief(since), told[0].Percent)
	default:
		text = fmt.Sprintf("%s after %s: %d of %d available", p.What, brief(since), p.available, p.Images)
		first, last := told, told[max(0, len(told)-1):]
		switch len(told) {
		case 0:
		case 1:
			text += fmt.Sprintf(", %s %d %%", first[0].Place, first[0].Percent)
		default:
			text += fmt.Sprintf(", pending from %d %% (%s) to %d %% (%s)", first[0].Percent, first[0].Place, last[0].Percent, last[0].Place)
		}
		if untold := len(pending) - len(told); untold > 0 {
			text += fmt.Sprintf(", %d without reported progress", untold)
		}
		if later := p.Images - p.available - len(pending); later > 0 {
			return text + fmt.Sprintf(", %d not pending", later) // waiting for its turn, or failed
		}
	}
	left := time.Duration(0)
	for _, image := range pending {
		if image.Left == 0 {
			return text // the end is unknown
		}
		left = max(left, image.Left)
	}
	if left = left.Round(time.Minute); left < time.Minute {
		return text + "; less than a minute to go"
	}
	return fmt.Sprintf("%s; about %s to go (until %s)", text, brief(left), now.Add(left).Format("15:04"))
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
