// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
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
	rows    = flag.String("rows", "", "measure what docs/benchmarks.md needs, and append the results to this `file`")
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

// measure runs the cells at the same time, and returns their results in order. Of a
// cell that has failed, the result is empty. An interrupt cancels the builds.
func measure(t *testing.T, cells []Cell) []Result {
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	tools := Tools{Packer: os.Getenv("PACKER"), Plugins: os.Getenv("BENCH_PLUGINS")}
	results := make([]Result, len(cells))
	var wg sync.WaitGroup
	for i, c := range cells {
		wg.Go(func() {
			select {
			case <-time.After(time.Duration(i) * *stagger):
			case <-ctx.Done():
				t.Errorf("%s: %v", c, ctx.Err())
				return
			}
			var err error
			log := filepath.Join(os.Getenv("BENCH_LOGS"), fmt.Sprintf("%s-%d.log", c, i+1))
			if results[i], err = tools.Run(ctx, c, log); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return results
}

// TestTable prints the table of docs/benchmarks/ami.md.
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("SKIPPED: needs -table, PACKER and the plugins; `make bench-ami` gives them, and takes half an hour")
	}
	var chosen []Cell
	for _, c := range cells() {
		if match, err := filepath.Match(*only, c.String()); err != nil {
			t.Fatal(err)
		} else if match {
			chosen = append(chosen, c)
		}
	}
	results := measure(t, chosen)
	fmt.Printf("%s, %s/%s, %d CPUs, %d builds at the same time, one started every %s.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), len(chosen), *stagger)
	fmt.Printf("| delays | progress | regions | market | builder | wall | over the floor | from first to last call | API calls | billed | held |\n|---|---|--:|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		if r.AWS == 0 {
			continue // failed, and said
		}
		if r.Reboot {
			r.Builder += ", capture = reboot"
		}
		fmt.Printf("| %s | %s | %d | %s | %s | %.1f s | %.3f | %.3f | %d | %.0f s | %.0f s |\n", r.Delays, r.Progress, r.Regions, r.Market(), r.Builder,
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
