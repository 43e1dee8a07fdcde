// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"bytes"
	"flag"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/tools/bench/compare"
)

var rows = flag.String("rows", "", "measure some templates beside each peer in turn, and add the results to this `file`")

// For docs/benchmarks.md: how often each contestant has its turn, and for how long.
const (
	rounds = 21
	turn   = 20 * time.Millisecond
)

// inSummary selects the smallest and the largest template, and the one that is nearly
// all map, with which the editor does worst.
func inSummary(s subject) bool {
	return len(s.src) < 100_000 || len(s.src) >= 1_000_000 && s.rows == 8
}

// TestRows measures the rows of docs/benchmarks.md.
func TestRows(t *testing.T) {
	if *rows == "" {
		t.Skip("SKIPPED: needs -rows: it measures for minutes; `make bench` gives it")
	}
	versions, err := versions()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subjects() {
		if !inSummary(s) {
			continue
		}
		region, want := edited(s)
		var contestants []func() (float64, error)
		for _, p := range s.peers {
			contestants = append(contestants, func() (float64, error) { return edit(p, s.src, region) })
		}
		times, err := compare.Race(rounds, contestants...)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range s.peers[1:] { // the first one is ours
			row := compare.Row{Benchmark: "cfn", Unit: "s", Peer: p.Module, Version: versions[p.Name], Note: p.Note}
			row.Measured = fmt.Sprintf("set a cell: %s, %d KB, %d rows", s.name, (len(s.src)+500)/1000, s.rows)
			if p.Module == "" {
				row.Peer, _, _ = strings.Cut(p.Name, " ")
			}
			got, err := p.Set(s.src, region, ami)
			if err != nil {
				t.Fatal(err)
			}
			if got != nil && !bytes.Equal(got, want) {
				row.Note += fmt.Sprintf("; changes %d bytes outside the edit", foreign(want, got))
			}
			row.Ours, row.Theirs, row.Ratio = compare.Medians(times[0], times[i+1])
			t.Logf("%s, %s: %.3f", row.Measured, p.Name, row.Ratio)
			if err := compare.Append(*rows, row); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// edit is a contestant's turn: the seconds of an edit, the mean of those in the turn.
func edit(p Peer, src []byte, region string) (float64, error) {
	runtime.GC() // of what the others have left
	begun, n := time.Now(), 0
	for ; n == 0 || time.Since(begun) < turn; n++ {
		if _, err := p.Set(src, region, ami); err != nil {
			return 0, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return time.Since(begun).Seconds() / float64(n), nil
}

// versions returns those of the peers by their names: of the modules in go.mod, and of
// the installed programs.
func versions() (map[string]string, error) {
	found := map[string]string{}
	for _, p := range append(YAMLPeers[1:], JSONPeers[1:]...) {
		command := []string{"go", "list", "-m", "-f", "{{.Version}}", p.Module}
		if p.Module == "" {
			program, _, _ := strings.Cut(p.Name, " ")
			command = []string{program, "--version"}
		}
		out, err := exec.Command(command[0], command[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("the version of %s: %w", p.Name, err)
		}
		found[p.Name] = strings.TrimPrefix(string(bytes.TrimSpace(out)), "jq-")
	}
	return found, nil
}

// TestSummary: the rows of docs/benchmarks.md include every format, and every peer.
func TestSummary(t *testing.T) {
	formats, peers := map[string]int{}, map[string]bool{}
	for _, s := range subjects() {
		if inSummary(s) {
			formats[s.name]++
			for _, p := range s.peers {
				peers[p.Name] = true
			}
		}
	}
	if formats["YAML"] != 3 || formats["JSON"] != 3 || formats[anchored] != 2 {
		t.Errorf("the templates are %v", formats)
	}
	for _, p := range append(YAMLPeers[1:], JSONPeers[1:]...) {
		if !peers[p.Name] || p.Note == "" {
			t.Errorf("%s is not measured, or without a note (%q)", p.Name, p.Note)
		}
	}
}
