//go:build unix

// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the CPU time of this process, which is independent of other load on the
// machine.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// oneLine is a map of rows x 149 cells on one line, as JSON or as flow YAML.
// With note set a cell in each row has letters of several bytes, and every tenth is
// a list.
func oneLine(rows int, yaml, note bool) []byte {
	var b strings.Builder
	quote := `"`
	if yaml {
		quote = ""
	}
	fmt.Fprintf(&b, "%[1]sMappings%[1]s: {%[1]sM%[1]s: {", quote)
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%[1]sus-x%c%c-1%[1]s: {", quote, 'a'+r/26, 'a'+r%26)
		for c := range 149 {
			value := amiA
			if note && c == 0 {
				value = "é€𝄞 note"
			}
			if note && c%10 == 5 {
				fmt.Fprintf(&b, `%[1]sA%[2]d%[1]s: ["%[3]s"]`, quote, c, value)
			} else {
				fmt.Fprintf(&b, `%[1]sA%[2]d%[1]s: "%[3]s"`, quote, c, value)
			}
			if c < 148 {
				b.WriteString(", ")
			}
		}
		b.WriteString("}")
	}
	b.WriteString("}}")
	if yaml {
		return []byte(b.String() + "\n")
	}
	return []byte("{" + b.String() + "}")
}

// TestOneLine checks that the time to get and to set is linear in the length of a
// line. When each position look-up read the line from its start, four times the
// cells took sixteen times as long.
func TestOneLine(t *testing.T) {
	for _, yaml := range []bool{false, true} {
		t.Run(fmt.Sprintf("yaml=%v", yaml), func(t *testing.T) {
			best := func(rows int) time.Duration {
				src := oneLine(rows, yaml, true)
				least := time.Hour
				for range 5 {
					start := cpuTime(t)
					p, err := Parse("t", src)
					if err != nil {
						t.Fatal(err)
					}
					if m, err := p.Read("M"); err != nil || len(m.Rows) != rows || len(m.Rows[0].Cells) != 149 {
						t.Fatal(err)
					}
					out, _, err := p.Apply("M", Edit{Region: "us-xaa-1", Attribute: "A1", Value: amiB})
					if err != nil || !bytes.Contains(out, []byte(amiB)) {
						t.Fatal(err)
					}
					least = min(least, cpuTime(t)-start)
				}
				return least
			}
			small, large := best(50), best(200)
			const limit = 10 // between 4, linear, and 16, quadratic
			if ratio := float64(large) / float64(small); ratio > limit {
				t.Errorf("got %.1f times the time for four times the cells (%s, %s), want about 4", ratio, small, large)
			}
		})
	}
}

// TestPositions checks that a position found from a milestone equals the one
// counted from the start of the line, and converts back to its offset.
func TestPositions(t *testing.T) {
	src := oneLine(3, false, true)
	if !json.Valid(src) {
		t.Fatal("not JSON")
	}
	src = append([]byte("\xEF\xBB\xBF"), append(bytes.ReplaceAll(src, []byte("us-xab-1"), []byte("us\\u002dxab-1")), "\n  \n"...)...)
	p, err := Parse("t", src)
	if err != nil {
		t.Fatal(err)
	}
	line, column := 1, 1
	for at, r := range string(src) {
		if at < 3 {
			continue
		}
		if got := p.pos(at); got != (Pos{line, column}) {
			t.Fatalf("offset %d: got %v, want %d:%d", at, got, line, column)
		}
		// The parser counts the byte order mark on line 1.
		if c := column; line > 1 || p.offset(line, c+1) != at {
			if p.offset(line, c) != at {
				t.Fatalf("%d:%d: got offset %d, want %d", line, c, p.offset(line, c), at)
			}
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	if p.offset(1, len(src)+1) != -1 || p.offset(99, 1) != -1 {
		t.Error("got an offset of a position outside the text")
	}
}

// TestShared checks that rows that alias one row are read once, and that the time
// to set values with anchors is linear in their number.
func TestShared(t *testing.T) {
	cells := func(row, n int, anchors bool) string {
		var b strings.Builder
		for c := range n {
			anchor := ""
			if anchors {
				anchor = fmt.Sprintf("&r%dc%d ", row, c)
			}
			fmt.Fprintf(&b, "A%d: %s%s, ", c, anchor, amiA)
		}
		return "{" + strings.TrimSuffix(b.String(), ", ") + "}"
	}
	aliases := func(rows int) func() {
		src := "Mappings:\n  M:\n    us-x-0: &a " + cells(0, 1000, false) + "\n"
		for r := 1; r < rows; r++ {
			src += fmt.Sprintf("    us-x-%d: *a\n", r)
		}
		return func() {
			p, err := Parse("t", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			if m, err := p.Read("M"); err != nil || len(m.Rows) != rows || len(m.Rows[rows-1].Cells) != 1000 {
				t.Fatal(err)
			}
		}
	}
	anchored := func(rows int) func() {
		src, edits := "Mappings:\n  M:\n", []Edit(nil)
		for r := range rows {
			src += fmt.Sprintf("    us-x-%d: %s\n", r, cells(r, 20, true))
			for c := range 20 {
				edits = append(edits, Edit{Region: fmt.Sprintf("us-x-%d", r), Attribute: fmt.Sprintf("A%d", c), Value: amiB})
			}
		}
		return func() {
			p, err := Parse("t", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := p.Apply("M", edits...); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		work  func(rows int) func()
		limit float64 // of four times the rows
	}{
		{"aliases", aliases, 2.5}, // 1.1; 4 if each is read again
		{"anchors", anchored, 8},  // 4; 13 if each searches the template
	} {
		t.Run(tt.name, func(t *testing.T) {
			best := func(rows int) time.Duration {
				run, least := tt.work(rows), time.Hour
				for range 5 {
					start := cpuTime(t)
					run()
					least = min(least, cpuTime(t)-start)
				}
				return least
			}
			small, large := best(150), best(600)
			if ratio := float64(large) / float64(small); ratio > tt.limit {
				t.Errorf("got %.1f times the time for four times the rows (%s, %s), want less than %g", ratio, small, large, tt.limit)
			}
		})
	}
}
