// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

var (
	table   = flag.Bool("table", false, "measure and print the table, in half an hour")
	only    = flag.String("only", "*", "the cells to measure, as a pattern of their names, such as short-linear-8-*")
	stagger = flag.Duration("stagger", 5*time.Second, "how long after one build the next is started")
)

// cells are the lines of the table, those that take longest first. amazon-ebs
// never looks at progress, so each model of it is the same to it.
func cells() []Cell {
	var all []Cell
	for _, delays := range []string{"long", "short"} {
		for _, regions := range []int{32, 8} {
			all = append(all, Cell{Builder: Peer, Delays: delays, Progress: pace.Linear, Regions: regions})
		}
		for _, builder := range []string{Peer, Ours} {
			all = append(all, Cell{Builder: builder, Delays: delays, Progress: pace.Linear, Regions: 8, Spot: true})
		}
		all = append(all, Cell{Builder: Ours, Delays: delays, Progress: pace.Linear, Regions: 8, Reboot: true})
		for _, progress := range []string{pace.Linear, pace.Steps, pace.None, pace.Stuck} {
			for _, regions := range []int{32, 8} {
				all = append(all, Cell{Builder: Ours, Delays: delays, Progress: progress, Regions: regions})
			}
		}
	}
	return all
}

// TestTable prints the table of docs/benchmarks/ami.md.
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("SKIPPED: needs -table, PACKER and the plugins; `make bench-ami` gives them, and takes half an hour")
	}
	tools := Tools{Packer: os.Getenv("PACKER"), Plugins: os.Getenv("BENCH_PLUGINS"), Logs: os.Getenv("BENCH_LOGS")}
	var chosen []Cell
	for _, c := range cells() {
		if match, err := filepath.Match(*only, c.String()); err != nil {
			t.Fatal(err)
		} else if match {
			chosen = append(chosen, c)
		}
	}
	results := make([]Result, len(chosen))
	var wg sync.WaitGroup
	for i, c := range chosen {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * *stagger)
			var err error
			if results[i], err = tools.Run(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fmt.Printf("%s, %s/%s, %d CPUs, %d builds at the same time, one started every %s.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), len(chosen), *stagger)
	fmt.Printf("| delays | progress | regions | market | builder | wall | over the floor | from first to last call | API calls | billed | held |\n|---|---|--:|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		if r.AWS == 0 {
			continue // failed, and said
		}
		market := map[bool]string{true: "spot", false: "on-demand"}[r.Spot]
		if r.Reboot {
			r.Builder += ", capture = reboot"
		}
		fmt.Printf("| %s | %s | %d | %s | %s | %.1f s | %.3f | %.3f | %d | %.0f s | %.0f s |\n", r.Delays, r.Progress, r.Regions, market, r.Builder,
			r.Wall.Seconds(), r.Wall.Seconds()/r.Floor().Seconds(), r.AWS.Seconds()/r.Floor().Seconds(), r.Calls, r.Usage.BilledSeconds, r.Usage.HeldSeconds)
	}
}

// TestCells: what is compared is comparable, and there is a goal for each.
func TestCells(t *testing.T) {
	seen := map[Cell]bool{}
	for _, c := range cells() {
		if seen[c] {
			t.Errorf("%s is measured twice", c)
		}
		seen[c] = true
		if got := len(targets(c.Regions)) + 1; got != c.Regions {
			t.Errorf("%s reaches %d regions", c, got)
		}
		peer := c
		peer.Builder, peer.Progress, peer.Reboot = Peer, pace.Linear, false
		found := false
		for _, other := range cells() {
			found = found || other == peer
		}
		if !found {
			t.Errorf("%s has no peer", c)
		}
	}
	if floor := (Cell{Delays: "short"}).Floor(); floor != 100*time.Second {
		t.Errorf("the floor of short delays is %s, want 100s", floor)
	}
	if floor := (Cell{Delays: "long", Spot: true}).Floor(); floor != 822*time.Second {
		t.Errorf("the floor of long delays on spot is %s, want 822s", floor)
	}
}
