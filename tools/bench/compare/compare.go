// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package compare holds measurements beside a peer: how the contestants take turns, and
// the form in which a benchmark hands its results to `make bench`.
package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Row is one measurement of this project beside a peer. Less is better in all units.
type Row struct {
	Benchmark string  `json:"benchmark"` // its name in `make bench`
	Measured  string  `json:"measured"`  // what, and of which job; "simulated" if its delays are
	Unit      string  `json:"unit"`      // "s", "MB", or what is counted
	Ours      float64 `json:"ours"`
	Peer      string  `json:"peer"` // software that is not this project's
	Version   string  `json:"version"`
	Theirs    float64 `json:"theirs"`
	Ratio     float64 `json:"ratio"` // ours / theirs, see Medians
	Note      string  `json:"note"`  // what the peer does differently
}

// Check returns an error for a row that compares nothing, or that a table cannot show.
func (r Row) Check() error {
	name := fmt.Sprintf("the row %q of %q", r.Measured, r.Benchmark)
	for _, text := range []struct{ field, value string }{
		{"benchmark", r.Benchmark}, {"measured", r.Measured}, {"unit", r.Unit}, {"peer", r.Peer}, {"version", r.Version},
	} {
		if strings.TrimSpace(text.value) == "" {
			return fmt.Errorf("%s: %s is empty", name, text.field)
		}
	}
	if strings.ContainsAny(r.Benchmark+r.Measured+r.Unit+r.Peer+r.Version+r.Note, "|\n\r") {
		return fmt.Errorf("%s: got a line break or |, want text for one cell of a table", name)
	}
	for _, number := range []struct {
		field string
		value float64
		zero  bool
	}{{"ours", r.Ours, true}, {"theirs", r.Theirs, false}, {"ratio", r.Ratio, true}} {
		if math.IsNaN(number.value) || math.IsInf(number.value, 0) || number.value < 0 || number.value == 0 && !number.zero {
			return fmt.Errorf("%s: %s: got %g, want a finite number above zero", name, number.field, number.value)
		}
	}
	return nil
}

// Append adds rows to a file, one JSON object a line.
func Append(file string, rows ...Row) error {
	var lines bytes.Buffer
	for _, r := range rows {
		if err := r.Check(); err != nil {
			return err
		}
		if err := json.NewEncoder(&lines).Encode(r); err != nil {
			return fmt.Errorf("encoding a row: %w", err)
		}
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("writing rows: %w", err)
	}
	_, err = out.Write(lines.Bytes())
	return errors.Join(err, out.Close())
}

// Read returns the rows of a file, each of them checked.
func Read(file string) ([]Row, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading rows: %w", err)
	}
	defer in.Close()
	var rows []Row
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	for {
		var r Row
		switch err := decoder.Decode(&r); {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, fmt.Errorf("reading rows: %w", err)
		}
		if err := r.Check(); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
}

// Race runs each contestant once a round, in an order that rotates, so that other load
// affects all of them. It returns the values of each contestant by round. A first round
// does not count: it fills caches.
func Race(rounds int, contestants ...func() (float64, error)) ([][]float64, error) {
	values := make([][]float64, len(contestants))
	for round := range rounds + 1 {
		for turn := range contestants {
			i := (turn + round) % len(contestants)
			value, err := contestants[i]()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				values[i] = append(values[i], value)
			}
		}
	}
	return values, nil
}

// Medians returns the median of either side, and the median of the ratios of each round.
// Both sides have a value for every round.
func Medians(ours, theirs []float64) (us, them, ratio float64) {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	return median(ours), median(theirs), median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// PluginVersion returns the version of the Packer plugin at path.
func PluginVersion(path string) (string, error) {
	output, err := exec.Command(path, "describe").Output()
	var description struct{ Version string }
	if err == nil {
		err = json.Unmarshal(output, &description)
	}
	if err != nil {
		return "", fmt.Errorf("describing %s: %w", path, err)
	}
	return description.Version, nil
}
