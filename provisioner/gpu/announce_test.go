// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// lines records what a phase prints.
type lines struct {
	packersdk.MockUi
	said, told []string
}

func (l *lines) Say(text string)   { l.said = append(l.said, text) }
func (l *lines) Error(text string) { l.said = append(l.said, text) }
func (l *lines) Machine(kind string, values ...string) {
	l.told = append(l.told, kind+","+strings.Join(values, ","))
}

func TestAnnounce(t *testing.T) {
	for _, test := range []struct {
		name  string
		takes time.Duration
		doing string
		want  []string
	}{
		{"a short phase has no line", 1900 * time.Millisecond, "", nil},
		{"a longer one has its start", 10 * time.Second, "", []string{"build: started"}},
		{"a long one says how long it runs", 5 * time.Minute, "", []string{
			"build: started", "build: running for 15s", "build: running for 45s", "build: running for 1m45s", "build: running for 3m45s",
		}},
		{"and what it does", 20 * time.Second, "45 % after 15s", []string{"build: started", "build: 45 % after 15s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ui := &lines{}
				r := &run{ui: phaseUI{ui, new(atomic.Bool)}, now: time.Now}
				end := r.announce("build")
				if test.doing != "" {
					r.status.set(func() string { return test.doing })
				}
				time.Sleep(test.takes)
				end()
				if !slices.Equal(ui.said, test.want) {
					t.Errorf("got %q, want %q", ui.said, test.want)
				}
				if want := []string{"ethminer-phase,build,started,"}; !slices.Equal(ui.told, want) {
					t.Errorf("got messages %q, want %q", ui.told, want)
				}
				if r.status.text.Load() != nil {
					t.Error("the next phase would have this description")
				}
			})
		})
	}
}

// TestNoStartAfterALine: a phase that has printed something has started.
func TestNoStartAfterALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ui := &lines{}
		r := &run{ui: phaseUI{ui, new(atomic.Bool)}, now: time.Now}
		r.ui.Say("source: done")
		end := r.announce("cuda")
		r.ui.Errorf("cuda: %s", "not used")
		time.Sleep(10 * time.Second)
		end()
		if want := []string{"source: done", "cuda: not used"}; !slices.Equal(ui.said, want) {
			t.Errorf("got %q, want %q", ui.said, want)
		}
	})
}

// TestStatusReturns: what a phase does in between ends with it.
func TestStatusReturns(t *testing.T) {
	var s status
	unset := s.set(func() string { return "measuring" })
	s.set(func() string { return "waiting" })()
	if got := (*s.text.Load())(); got != "measuring" {
		t.Errorf("got %q", got)
	}
	unset()
	if s.text.Load() != nil {
		t.Error("got a description, want none")
	}
}

func TestBuildProgress(t *testing.T) {
	for line, want := range map[string]string{
		"[  5%] Building CXX object a.o": "5 %", "[100%] Linking CXX executable ethminer": "100 %",
		"[12/40] Building CXX object a.o": "12 of 40 steps", "warning: [ 50%] no": "", "[1] no": "",
	} {
		if got := buildProgress(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// TestProgressIsDocumented compares the times with docs/output.md.
func TestProgressIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := fmt.Sprintf("(provisioners/gpu.mdx) | %.0f s | %.0f min |", firstLine.Seconds(), longestLine.Minutes()); !strings.Contains(string(page), row) {
		t.Errorf("the page has no row %q", row)
	}
}
