// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/tools/bench/compare"
)

// rounds is how often each cell of docs/benchmarks.md is measured: amazon-ebs adds
// jitter to its waits.
const rounds = 3

// summary are the cells of docs/benchmarks.md.
func summary() []Cell {
	var chosen []Cell
	for _, c := range cells() {
		if c.Progress == pace.Linear && c.Regions == 8 && !c.Reboot {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// TestRows measures the rows of docs/benchmarks.md.
func TestRows(t *testing.T) {
	if *rows == "" {
		t.Skip("SKIPPED: needs -rows, PACKER and the plugins; `make bench` gives them, and takes 20 minutes")
	}
	version, err := compare.PluginVersion(os.Getenv("BENCH_PEER"))
	if err != nil {
		t.Fatal(err)
	}
	var all []Cell
	for _, c := range summary() {
		for range rounds {
			all = append(all, c)
		}
	}
	results := measure(t, all)
	if t.Failed() {
		return
	}
	if err := compare.Append(*rows, compared(version, results)...); err != nil {
		t.Fatal(err)
	}
}

// compared returns the rows of all cells of ours that have results of the peer too.
func compared(version string, results []Result) []compare.Row {
	byCell := map[Cell][]Result{}
	for _, r := range results {
		byCell[r.Cell] = append(byCell[r.Cell], r)
	}
	var all []compare.Row
	for _, cell := range cells() {
		peer := cell
		peer.Builder = Peer
		if cell.Builder != Ours || byCell[cell] == nil || byCell[peer] == nil {
			continue
		}
		for _, m := range []struct {
			what, unit, note string
			of               func(Result) float64
		}{
			{"duration", "s", "ignores the progress of snapshots", func(r Result) float64 { return r.Wall.Seconds() }},
			{"requests to AWS", "requests", "has no preflight, which sends about 20 of ours", func(r Result) float64 { return float64(r.Calls) }},
			{"time that EC2 holds the instance", "s", "keeps it until the copies are complete", func(r Result) float64 { return r.Usage.HeldSeconds }},
			{"time that EC2 bills for the instance (60 s at least)", "s", billed(cell), func(r Result) float64 { return max(60, r.Usage.BilledSeconds) }},
		} {
			row := compare.Row{Benchmark: "ami", Unit: m.unit, Peer: Peer, Version: version, Note: m.note}
			row.Measured = fmt.Sprintf("%s: %d regions, %s, %s simulated delays (%s)", m.what, cell.Regions, cell.Market(), cell.Delays, cell.Floor())
			var ours, theirs []float64
			for i := range byCell[cell] {
				ours, theirs = append(ours, m.of(byCell[cell][i])), append(theirs, m.of(byCell[peer][i]))
			}
			row.Ours, row.Theirs, row.Ratio = compare.Medians(ours, theirs)
			all = append(all, row)
		}
	}
	return all
}

// billed is what the peer does with the instance while it creates the image.
func billed(c Cell) string {
	if c.Spot {
		return "keeps it running until the copies are complete"
	}
	return "stops it before the image is created, as ours does"
}

// TestCompared: each row is that of a cell and its peer, and says that it is simulated.
func TestCompared(t *testing.T) {
	var results []Result
	for i, c := range summary() {
		for round := range rounds {
			r := Result{Cell: c, Wall: 100 * time.Second, Calls: 50, Usage: ec2.Usage{BilledSeconds: 30, HeldSeconds: 40}}
			if c.Builder == Peer {
				r.Wall, r.Calls, r.Usage = time.Duration(200+200*round)*time.Second, 40+i, ec2.Usage{BilledSeconds: 120, HeldSeconds: 160}
			}
			results = append(results, r)
		}
	}
	all := compared("1.8.1", results)
	if len(all) != 4*2*2 {
		t.Errorf("got %d rows, want 4 for each of two delays and two markets", len(all))
	}
	for _, r := range all {
		if err := r.Check(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(r.Measured, "simulated") || r.Note == "" {
			t.Errorf("the row does not say that it is simulated, or has no note: %v", r)
		}
		want := map[string]float64{"duration": 0.25, "time that EC2 holds the instance": 0.25, "time that EC2 bills for the instance (60 s at least)": 0.5}
		what, _, _ := strings.Cut(r.Measured, ":")
		if ratio, ok := want[what]; ok && r.Ratio != ratio {
			t.Errorf("%s: the ratio is %g, want %g", r.Measured, r.Ratio, ratio)
		}
		if what == "requests to AWS" && r.Ratio <= 1 {
			t.Errorf("%s: the ratio is %g, and ours sends more", r.Measured, r.Ratio)
		}
	}
	if none := compared("1.8.1", results[:rounds]); len(none) != 0 {
		t.Errorf("rows without a peer: %v", none)
	}
}
