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
		what              string
		images, available int
		pending           []Pending
		want              string
	}{
		{"Copies", 7, 2, []Pending{at("a", 40, 12*time.Minute), at("b", 50, 8*time.Minute), at("c", 60, 0), at("d", 70, time.Minute), at("e", 80, time.Minute)},
			"Copies after 4m: 2 of 7 available, pending from 40 % (a) to 80 % (e)"}, // the end of c is unknown
		{"Copies", 4, 2, []Pending{at("a", 40, 12*time.Minute), at("e", 80, time.Minute)},
			"Copies after 4m: 2 of 4 available, pending from 40 % (a) to 80 % (e); about 12m to go (until 12:16)"},
		{"Copies", 7, 6, []Pending{at("a", 97, 20*time.Second)}, "Copies after 4m: 6 of 7 available, a 97 %; less than a minute to go"},
		{"Copies", 2, 0, []Pending{at("a", poll.Unknown, 0), at("b", poll.Unknown, 0)}, "Copies after 4m: 0 of 2 available, 2 without reported progress"},
		{"Copies to account 1", 9, 1, []Pending{at("b", poll.Unknown, 0), at("a", 10, time.Minute)},
			"Copies to account 1 after 4m: 1 of 9 available, a 10 %, 1 without reported progress, 6 not pending"},
	} {
		p := Progress{What: test.what, Images: test.images, available: test.available}
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
	if want := "Copies after 5m: 1 of 3 available, 1, b 50 %, 1 not pending"; said[len(said)-1] != want {
		t.Errorf("got %q, want %q", said, want)
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
