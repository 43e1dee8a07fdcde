// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"bytes"
	"flag"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
)

var table = flag.Bool("table", false, "measure and print the table")

const ami = "ami-0123456789abcdef0"

type subject struct {
	name  string
	src   []byte
	rows  int
	peers []Peer
}

// anchored are the templates with an anchor, which we parse as a whole.
const anchored = "YAML with an anchor"

// subjects are the templates; with 200 rows the smallest is as large as its
// map, which is more than 5 KB.
func subjects() []subject {
	var all []subject
	for _, rows := range []int{8, 200} {
		for _, size := range []int{5_000, 125_000, 1_000_000} {
			all = append(all, subject{"YAML", YAML(size, rows), rows, YAMLPeers}, subject{"JSON", JSON(size, rows), rows, JSONPeers})
			if rows == 8 {
				all = append(all, subject{anchored, bytes.Replace(YAML(size, rows), []byte("Metadata:"), []byte("Metadata: &notes"), 1), rows, YAMLPeers})
			}
		}
	}
	return all
}

// edited is what a perfect edit of the middle row returns.
func edited(s subject) (region string, want []byte) {
	return Region(s.rows / 2), bytes.Replace(s.src, []byte(Old(s.rows/2)), []byte(ami), 1)
}

// foreign counts the bytes of the lines that differ from a perfect edit: those
// that are gone and those that are new.
func foreign(want, got []byte) int {
	n := 0
	for i, line := range bytes.Split(diff.Diff("want", want, "got", got), []byte("\n")) {
		if i >= 3 && len(line) > 0 && (line[0] == '+' || line[0] == '-') {
			n += len(line) // its own byte stands for the line break
		}
	}
	return n
}

// TestOurs: what is measured is right.
func TestOurs(t *testing.T) {
	for _, s := range subjects() {
		region, want := edited(s)
		if got, err := Ours.Set(s.src, region, ami); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s of %d bytes: %v, %d bytes changed outside the edit", s.name, len(s.src), err, foreign(want, got))
		}
	}
}

// TestTable prints the table of docs/benchmarks/cfn.md.
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("SKIPPED: needs -table: it measures for minutes")
	}
	fmt.Printf("%s, %s/%s, %d CPUs. Time: the fastest of the runs made in 2 s (3 at least).\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, format := range []string{"YAML", anchored, "JSON"} {
		fmt.Printf("| %s | rows | size | time | allocations | allocated | bytes changed outside the edit |\n|---|--:|--:|--:|--:|--:|--:|\n", format)
		for _, s := range subjects() {
			if s.name != format {
				continue
			}
			region, want := edited(s)
			for _, p := range s.peers {
				if strings.HasPrefix(p.Name, "jq") {
					if _, err := exec.LookPath("jq"); err != nil {
						continue
					}
				}
				line := fmt.Sprintf("| %s | %d | %d KB | ", p.Name, s.rows, (len(s.src)+500)/1000)
				got, err := p.Set(s.src, region, ami)
				if err != nil {
					fmt.Printf("%s refused: %v | | | |\n", line, err)
					continue
				}
				changed := "-"
				if got != nil {
					changed = fmt.Sprint(foreign(want, got))
				}
				best, allocs, size := measure(func() { _, _ = p.Set(s.src, region, ami) })
				if strings.HasPrefix(p.Name, "jq") {
					fmt.Printf("%s%s | - | - | %s |\n", line, nice(best), changed)
					continue
				}
				fmt.Printf("%s%s | %d | %d KB | %s |\n", line, nice(best), allocs, size/1000, changed)
			}
		}
		fmt.Println()
	}
}

func nice(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// measure runs f for a while: the fastest run, which other work on the machine
// disturbed least, and what a run allocates.
func measure(f func()) (best time.Duration, allocs, size uint64) {
	var times []time.Duration
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for start := time.Now(); len(times) < 3 || time.Since(start) < 2*time.Second; {
		t := time.Now()
		f()
		times = append(times, time.Since(t))
	}
	runtime.ReadMemStats(&after)
	n := uint64(len(times))
	return slices.Min(times), (after.Mallocs - before.Mallocs) / n, (after.TotalAlloc - before.TotalAlloc) / n
}

func BenchmarkSet(b *testing.B) {
	for _, s := range subjects() {
		region, want := edited(s)
		for _, p := range s.peers {
			b.Run(fmt.Sprintf("%s/rows=%d/KB=%d/%s", strings.ReplaceAll(s.name, " ", "-"), s.rows, (len(s.src)+500)/1000, strings.ReplaceAll(p.Name, " ", "-")), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(s.src)))
				for b.Loop() {
					if _, err := p.Set(s.src, region, ami); err != nil {
						b.Skip(err)
					}
				}
				if got, err := p.Set(s.src, region, ami); err == nil && got != nil {
					b.ReportMetric(float64(foreign(want, got)), "foreign-bytes")
				}
			})
		}
	}
}

// BenchmarkOneLine gets all cells of a map on one line, and sets one.
func BenchmarkOneLine(b *testing.B) {
	for _, yaml := range []bool{false, true} {
		format := map[bool]string{false: "JSON", true: "YAML"}[yaml]
		for _, rows := range []int{50, 100, 200} {
			src := OneLine(rows, yaml)
			run := func(verb string, f func() error) {
				b.Run(fmt.Sprintf("%s/cells=%d/KB=%d/%s", format, 149*rows, (len(src)+500)/1000, verb), func(b *testing.B) {
					b.SetBytes(int64(len(src)))
					for b.Loop() {
						if err := f(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			run("get", func() error {
				t, err := cfntemplate.Parse("t", src)
				if err != nil {
					return err
				}
				m, err := t.Read("AWSRegion2AMI")
				if err == nil && len(m.Rows) != rows {
					err = fmt.Errorf("%d rows, want %d", len(m.Rows), rows)
				}
				return err
			})
			run("set", func() error {
				_, err := Ours.Set(src, Region(rows/2), ami)
				return err
			})
		}
	}
}

// TestDuplicates backs what docs/benchmarks/cfn.md says of duplicate keys and
// byte order marks.
func TestDuplicates(t *testing.T) {
	twice := []byte(`{"Mappings":{"AWSRegion2AMI":{"r":{"AMI":"a"},"r":{"AMI":"b"}}}}`)
	marked := append([]byte("\xEF\xBB\xBF"), `{"Mappings":{"AWSRegion2AMI":{"r":{"AMI":"a"}}}}`...)
	for _, tt := range []struct {
		peer          string
		twice, marked bool // whether it edits
	}{
		{Ours.Name, false, true}, {"sjson", true, true}, {"hujson", true, false},
	} {
		for _, p := range JSONPeers {
			if p.Name != tt.peer {
				continue
			}
			_, err := p.Set(twice, "r", ami)
			_, markErr := p.Set(marked, "r", ami)
			if (err == nil) != tt.twice || (markErr == nil) != tt.marked {
				t.Errorf("%s: duplicates %v, byte order mark %v", p.Name, err, markErr)
			}
		}
	}
}
