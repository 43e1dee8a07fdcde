// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// TestProgressOfCopies: one line is about all copies.
func TestProgressOfCopies(t *testing.T) {
	at := func(place string, percent int, left time.Duration) Pending {
		return Pending{Place: place, Image: Image{ID: "ami-" + place}, Percent: percent, Left: left}
	}
	for _, test := range []struct {
		what                      string
		images, available, failed int
		pending                   []Pending
		want                      string
	}{
		{"Copies", 7, 2, 0, []Pending{at("a", 40, 12*time.Minute), at("b", 50, 8*time.Minute), at("c", 60, 0), at("d", 70, time.Minute), at("e", 80, time.Minute)},
			"Copies after 4m: 2 of 7 available, pending from 40 % (a) to 80 % (e)"}, // the end of c is unknown
		{"Copies", 4, 2, 0, []Pending{at("a", 40, 12*time.Minute), at("e", 80, time.Minute)},
			"Copies after 4m: 2 of 4 available, pending from 40 % (a) to 80 % (e); expected at 12:16 UTC, in about 12m"},
		{"Copies", 7, 6, 0, []Pending{at("a", 97, 20*time.Second)}, "Copies after 4m: 6 of 7 available, a 97 %; less than a minute to go"},
		{"Copies", 2, 0, 0, []Pending{at("a", poll.Unknown, 0), at("b", poll.Unknown, 0)}, "Copies after 4m: 0 of 2 available, 2 without reported progress"},
		{"Copies to account 1", 9, 1, 0, []Pending{at("b", poll.Unknown, 0), at("a", 10, time.Minute)},
			"Copies to account 1 after 4m: 1 of 9 available, a 10 %, 1 without reported progress, 6 not started"},
		{"Copies", 4, 2, 1, []Pending{at("a", 40, 12*time.Minute)}, "Copies after 4m: 2 of 4 available, 1 failed, a 40 %; expected at 12:16 UTC, in about 12m"},
	} {
		p := Progress{What: test.what, Images: test.images, available: test.available, failed: test.failed}
		if got := p.line(test.pending, 4*time.Minute, noon.Add(4*time.Minute)); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

// TestProgressOfManyWaits: a line is printed once for all waits, and names those that
// have not ended.
func TestProgressOfManyWaits(t *testing.T) {
	clock := &copying{now: noon}
	var said, told []string
	p := &Progress{
		Say: func(line string) { said = append(said, line) }, Each: func(i Pending) { told = append(told, i.Place) },
		What: "Copies", Images: 3, Clock: clock,
	}
	var saw []func(poll.Forecast, time.Duration)
	for _, image := range []Image{{Region: "a", ID: "ami-1"}, {Region: "b", ID: "ami-2", Account: "1"}, {Region: "c", ID: "ami-3"}} {
		saw = append(saw, p.follow(image))
	}
	p.end("ami-3", true)
	clock.now = noon.Add(30 * time.Second)
	var half poll.Forecast
	half.Saw(30*time.Second, 50)
	saw[0](half, 30*time.Second)
	saw[1](poll.Forecast{}, 30*time.Second)
	if want := []string{"Copies after 30s: 1 of 3 available, a 50 %, 1 without reported progress"}; !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
	if want := []string{"1, b", "a"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	p.end("ami-1", false) // failed, and not yet copied again
	clock.now = noon.Add(5 * time.Minute)
	saw[1](half, 5*time.Minute)
	if want := "Copies after 5m: 1 of 3 available, 1, b 50 %, 1 not started"; said[len(said)-1] != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

// TestProgressComparesAtOneTime: two copies that are equally far look so, even if one of
// them was polled minutes ago.
func TestProgressComparesAtOneTime(t *testing.T) {
	clock := &copying{now: noon}
	var said []string
	p := &Progress{Say: func(line string) { said = append(said, line) }, What: "Copies", Images: 2, Clock: clock}
	a, b := p.follow(Image{Region: "a", ID: "ami-1"}), p.follow(Image{Region: "b", ID: "ami-2"})
	seen := func(at time.Duration) (f poll.Forecast) { // 10 minutes, in steps of 1 %
		for after := time.Duration(0); after <= at; after += 6 * time.Second {
			f.Saw(after, int(100*after/(10*time.Minute)))
		}
		return f
	}
	clock.now = noon.Add(15 * time.Second)
	a(seen(12*time.Second), 12*time.Second) // no line is due yet
	clock.now = noon.Add(3 * time.Minute)
	b(seen(3*time.Minute), 3*time.Minute)
	clock.now = noon.Add(5 * time.Minute)
	a(seen(5*time.Minute), 5*time.Minute)
	clock.now = noon.Add(7 * time.Minute)
	a(seen(7*time.Minute), 7*time.Minute) // b was polled 4 minutes ago
	if want := "Copies after 7m: 0 of 2 available, pending from 69 % (b) to 70 % (a); expected at 12:10 UTC, in about 3m"; said[len(said)-1] != want {
		t.Errorf("got  %q\nwant %q", said, want)
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{20 * time.Second: "20s", time.Minute: "1m", 100 * time.Second: "1m40s", 2 * time.Minute: "2m", 12*time.Minute + 40*time.Second: "13m", 65 * time.Minute: "1h5m", time.Hour: "1h0m"} {
		if got := brief(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

// TestProgressIsDocumented compares the times with docs/output.md.
func TestProgressIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, wait := range []string{"image", "copies"} {
		if row := fmt.Sprintf("| %s | %.0f s | %.0f min |", wait, firstLine.Seconds(), longestLine.Minutes()); !strings.Contains(string(page), row) {
			t.Errorf("the page has no row %q", row)
		}
	}
}
