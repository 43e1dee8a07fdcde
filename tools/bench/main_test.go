// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/tools/bench/compare"
)

const top = "../.."

var row = compare.Row{Benchmark: "a", Measured: "a job", Unit: "s", Ours: 0.0021, Peer: "peer", Version: "1.2", Theirs: 0.0003, Ratio: 7.05, Note: "proves nothing"}

// fake is a benchmark that hands in rows.
func fake(name string, err error, rows ...compare.Row) benchmark {
	return benchmark{name: name, about: "about " + name, details: "benchmarks/" + name + ".md", run: func(_ context.Context, file string) error {
		return errors.Join(compare.Append(file, rows...), err)
	}}
}

func TestMeasure(t *testing.T) {
	other := row
	other.Benchmark = "b"
	rows, err := measure(t.Context(), []benchmark{fake("a", nil, row, row), fake("b", nil, other)})
	if err != nil || !slices.Equal(rows, []compare.Row{row, row, other}) {
		t.Errorf("got %v, %v", rows, err)
	}
	noPeer := row
	noPeer.Peer = ""
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		last benchmark
		want string
	}{
		{"fails", t.Context(), fake("b", errors.New("no GPU"), other), "b: no GPU"},
		{"hands in nothing", t.Context(), fake("b", nil), "b: got no rows"},
		{"hands in another's row", t.Context(), fake("b", nil, row), `b: got a row of the benchmark "a"`},
		{"has no peer", t.Context(), fake("b", nil, noPeer), "b: the row \"a job\" of \"a\": peer is empty"},
		{"is interrupted", cancelled, fake("b", nil, other), "context canceled"},
	} {
		if rows, err := measure(tt.ctx, []benchmark{fake("a", nil, row), tt.last}); err == nil || !strings.Contains(err.Error(), tt.want) || rows != nil {
			t.Errorf("a benchmark that %s: got %v, %v, want %q", tt.name, rows, err, tt.want)
		}
	}
}

// TestPublish: only a complete page is written.
func TestPublish(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	var printed bytes.Buffer
	if err := publish(t.Context(), file, &printed, false, "some"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil || printed.String() != "some" {
		t.Errorf("an incomplete page was written, or printed as %q", &printed)
	}
	printed.Reset()
	if err := publish(t.Context(), file, &printed, true, "all"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "all" || printed.Len() > 0 {
		t.Errorf("the complete page is %q, %v; printed: %q", text, err, &printed)
	}
}

func TestChoose(t *testing.T) {
	all := []benchmark{fake("a", nil), fake("b", nil), fake("c", nil)}
	for _, tt := range []struct{ names, want []string }{
		{nil, []string{"a", "b", "c"}}, {[]string{"c", "a"}, []string{"a", "c"}},
	} {
		chosen, err := choose(all, tt.names)
		var got []string
		for _, b := range chosen {
			got = append(got, b.name)
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %v, %v", tt.names, got, err)
		}
	}
	if _, err := choose(all, []string{"a", "x"}); err == nil || !strings.Contains(err.Error(), `got "x", want some of: a, b, c`) {
		t.Errorf("got %v", err)
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0.0000301, "s", "30.1 µs"}, {0.0778, "s", "77.8 ms"}, {1.2546, "s", "1.25 s"}, {1025.94, "s", "1026 s"}, {0, "s", "0 s"},
		{137, "requests", "137 requests"}, {1234, "requests", "1234 requests"}, {57.52, "MB", "57.5 MB"}, {0.5, "MB", "0.500 MB"},
	} {
		if got := value(tt.value, tt.unit); got != tt.want {
			t.Errorf("%g %s: got %q, want %q", tt.value, tt.unit, got, tt.want)
		}
	}
	for r, want := range map[float64]string{17.06: "17", 7.049: "7.05", 1: "1.00", 0.997: "1.00", 0.61: "0.61", 0.0123: "0.012", 0.00089: "0.00089", 0: "0.00"} {
		if got := ratio(r); got != want {
			t.Errorf("ratio %g: got %q, want %q", r, got, want)
		}
	}
}

func TestRender(t *testing.T) {
	f := facts{date: "2026-11-29", machine: "CPU x", software: "Go y", commit: "`abc`, with uncommitted changes"}
	whole, part := render(f, nil, []benchmark{fake("a", nil)}, []compare.Row{row}), render(f, []string{"a"}, []benchmark{fake("a", nil)}, []compare.Row{row})
	for _, want := range []string{
		"| 2026-11-29 (UTC) |", "| `make bench` (", "| CPU x |", "| Go y |", "| `abc`, with uncommitted changes |",
		"- [a](benchmarks/a.md): about a.\n", header + ruler + "| a | a job | 2.10 ms | peer 1.2 | 300 µs | 7.05 | proves nothing |\n",
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("the page lacks %q:\n%s", want, whole)
		}
	}
	if want := "| `make bench BENCH='a'` ("; !strings.Contains(part, want) {
		t.Errorf("the page of some benchmarks lacks %q", want)
	}
}

func TestMachine(t *testing.T) {
	got := machine("processor\t: 0\nmodel name\t: AMD EPYC\n", "MemTotal:       24684084 kB\nMemFree: 1 kB\n", "0.28 1.09 2.20 1/2 3\n", 2)
	if want := "CPU AMD EPYC, 2 CPUs, memory 23.5 GiB, load average 0.28 before the run"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := machine("", "", "", 8), "CPU unknown, 8 CPUs, memory unknown, load average unknown before the run"; got != want {
		t.Errorf("without /proc: got %q, want %q", got, want)
	}
	if got, want := system("NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"), "Debian GNU/Linux 12 (bookworm)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEveryBenchmark: `make bench` runs each benchmark of the repository, those with a
// target bench-NAME and those with a folder bench/NAME.
func TestEveryBenchmark(t *testing.T) {
	known := benchmarks("packer")
	text, err := os.ReadFile(filepath.Join(top, "GNUmakefile"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^bench-([a-z0-9-]+):`).FindAllStringSubmatch(string(text), -1) {
		names[found[1]] = "target of GNUmakefile"
	}
	folders, err := os.ReadDir(filepath.Join(top, "bench"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() {
			names[f.Name()] = "folder of bench"
		}
	}
	if len(names) == 0 {
		t.Fatal("found no benchmark in the repository")
	}
	for name, where := range names {
		if !slices.ContainsFunc(known, func(b benchmark) bool { return b.name == name }) {
			t.Errorf("%s is a %s, but `make bench` does not run it", name, where)
		}
	}
	for _, b := range known {
		file, _, _ := strings.Cut(b.details, "#")
		if _, err := os.Stat(filepath.Join(top, "docs", file)); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
	}
}

// TestPage: docs/benchmarks.md, as committed, is of a complete run of the benchmarks of
// today, and each row has a peer and a ratio.
func TestPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(top, page))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	_, table, found := strings.Cut(text, header+ruler)
	if !found || !strings.Contains(text, "| command | `make bench` (") {
		t.Fatalf("%s is not of a complete run: run make bench", page)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 7 {
			t.Errorf("got %d cells, want 7: %s", len(cells), line)
			continue
		}
		rows[cells[0]]++
		var number float64
		if _, err := fmt.Sscanf(cells[5], "%g", &number); err != nil || !strings.Contains(cells[3], " ") {
			t.Errorf("the row has no ratio, or no peer with a version: %s", line)
		}
	}
	for _, b := range benchmarks("packer") {
		if rows[b.name] == 0 {
			t.Errorf("%s has no row of the benchmark %s: run make bench", page, b.name)
		}
		if about := fmt.Sprintf("- [%s](%s): %s.\n", b.name, b.details, b.about); !strings.Contains(text, about) {
			t.Errorf("%s describes %s differently from `make bench`: run make bench", page, b.name)
		}
		delete(rows, b.name)
	}
	if len(rows) > 0 {
		t.Errorf("%s has rows of unknown benchmarks: %v", page, rows)
	}
}
