// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package compare

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var good = Row{Benchmark: "start", Measured: "describe", Unit: "s", Ours: 0.008, Peer: "amazon-ebs", Version: "1.8.1", Theirs: 0.014, Ratio: 0.57, Note: "none"}

func TestCheck(t *testing.T) {
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		change func(*Row)
		want   string
	}{
		{func(r *Row) { r.Benchmark = "" }, "benchmark is empty"},
		{func(r *Row) { r.Measured = "" }, "measured is empty"},
		{func(r *Row) { r.Unit = "" }, "unit is empty"},
		{func(r *Row) { r.Peer = " " }, "peer is empty"},
		{func(r *Row) { r.Version = "" }, "version is empty"},
		{func(r *Row) { r.Note = "a | b" }, "one cell"},
		{func(r *Row) { r.Peer = "a\nb" }, "one cell"},
		{func(r *Row) { r.Theirs = 0 }, "theirs: got 0"},
		{func(r *Row) { r.Ours = -1 }, "ours: got -1"},
		{func(r *Row) { r.Ratio = math.NaN() }, "ratio: got NaN"},
		{func(r *Row) { r.Ratio = math.Inf(1) }, "ratio: got +Inf"},
	} {
		row := good
		tt.change(&row)
		if err := row.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows")
	other := good
	other.Measured, other.Ours = "size", 0
	for _, r := range []Row{good, other} {
		if err := Append(file, r); err != nil {
			t.Fatal(err)
		}
	}
	bad := good
	bad.Peer = ""
	if err := Append(file, good, bad); err == nil {
		t.Error("a row without a peer was written")
	}
	if rows, err := Read(file); err != nil || !slices.Equal(rows, []Row{good, other}) {
		t.Errorf("got %v, %v", rows, err)
	}
	for _, text := range []string{
		`{"benchmark": "start", "measured": "describe", "unit": "s", "ours": 1, "version": "1", "theirs": 1, "ratio": 1}`,
		`{"benchmark": "start", "colour": "red"}`,
		`{"benchmark": "start"`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if rows, err := Read(file); err == nil {
			t.Errorf("%s was read as %v", text, rows)
		}
	}
}

func TestRace(t *testing.T) {
	var order []int
	contestant := func(i int) func() (float64, error) {
		return func() (float64, error) { order = append(order, i); return float64(len(order)), nil }
	}
	values, err := Race(2, contestant(0), contestant(1), contestant(2))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 1, 2, 1, 2, 0, 2, 0, 1}; !slices.Equal(order, want) {
		t.Errorf("the order was %v, want %v", order, want)
	}
	for i, want := range [][]float64{{6, 8}, {4, 9}, {5, 7}} {
		if !slices.Equal(values[i], want) {
			t.Errorf("contestant %d: got %v, want %v without the first round", i, values[i], want)
		}
	}
	failure := errors.New("no")
	if _, err := Race(2, contestant(0), func() (float64, error) { return 0, failure }); !errors.Is(err, failure) {
		t.Errorf("got %v, want the contestant's error", err)
	}
}

// TestMedians: the ratio is that of the rounds, which differs from that of the medians.
func TestMedians(t *testing.T) {
	us, them, ratio := Medians([]float64{30, 1, 20}, []float64{10, 2, 40})
	if us != 20 || them != 10 || ratio != 0.5 {
		t.Errorf("got %g, %g and %g", us, them, ratio)
	}
	if us, _, ratio := Medians([]float64{1, 2}, []float64{2, 2}); us != 1.5 || ratio != 0.75 {
		t.Errorf("an even number: got %g and %g", us, ratio)
	}
}
