// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// printTable prints the outcomes by kind of fault, as a Markdown table.
func printTable(out io.Writer, runs []*run) {
	counts := map[string][verdicts]int{}
	var total [verdicts]int
	for _, r := range runs {
		n := counts[r.fault.name]
		n[r.verdict]++
		counts[r.fault.name] = n
		total[r.verdict]++
	}
	w := tabwriter.NewWriter(out, 0, 0, 0, ' ', 0)
	row := func(name string, n [verdicts]int) {
		sum := 0
		for _, k := range n[survived:] { // a missed request is no fault
			sum += k
		}
		_, _ = fmt.Fprintf(w, "| %s\t| %d\t", name, sum)
		for _, k := range n[survived:] {
			_, _ = fmt.Fprintf(w, "| %d\t", k)
		}
		_, _ = fmt.Fprintln(w, "|\t")
	}
	_, _ = fmt.Fprint(w, "| fault\t| runs\t")
	for _, name := range verdictNames[survived:] {
		_, _ = fmt.Fprintf(w, "| %s\t", name)
	}
	_, _ = fmt.Fprintln(w, "|\t")
	_, _ = fmt.Fprint(w, "|---\t|--:\t", strings.Repeat("|--:\t", int(verdicts-survived)), "|\n")
	for _, f := range faults {
		if n, ran := counts[f.name]; ran {
			row(f.name, n)
		}
	}
	row("all", total)
	_ = w.Flush() // to a terminal or a file that the caller checks
	if total[missed] > 0 {
		_, _ = fmt.Fprintf(out, "%d builds ended before the request that the fault was for.\n", total[missed])
	}
}

// Prices of what a build leaves, in US dollars: a g4dn.xlarge in the simulated price list
// by the hour, and the 8 GiB of its volume and of a snapshot by the month
// (https://aws.amazon.com/ebs/pricing/, us-east-1, gp3 and standard snapshots).
const (
	instanceHour  = 0.60
	hours         = 730 // of a month
	volumeMonth   = 8 * 0.08
	snapshotMonth = 8 * 0.05
)

// printLeaks prints what was left without a word, and what it costs in a month.
func printLeaks(out io.Writer, runs []*run) {
	counts := map[string]int{}
	for _, r := range runs {
		for _, leak := range r.leaks {
			counts[leak.Kind]++
		}
	}
	prices := map[string]float64{"instance": instanceHour * hours, "volume": volumeMonth, "snapshot": snapshotMonth}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		_, _ = fmt.Fprintf(out, "left without a word: %d of kind %s, %.2f USD a month\n", counts[kind], kind, float64(counts[kind])*prices[kind])
	}
}
