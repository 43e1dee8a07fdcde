// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// gate judges the benchmark, writes it down in both places, and only then fails.
func (r *run) gate(ctx context.Context) (string, error) {
	verdict := judge(r.report)
	r.report.Verdict = miner.VerdictPassed
	if verdict != nil {
		r.report.Verdict = miner.VerdictFailed
	}
	if err := r.writeReport(ctx); err != nil {
		return "", err
	}
	if verdict != nil {
		return "", fmt.Errorf("%w%s", verdict, r.shown())
	}
	if r.watch.log != "" {
		_ = os.Remove(r.watch.log)
	}
	if r.report.Floor == 0 {
		return fmt.Sprintf("%s, no floor set", r.report.Hashrate), nil
	}
	return fmt.Sprintf("%s, the floor is %s", r.report.Hashrate, r.report.Floor), nil
}

// judge says why a benchmark makes no image, or nil.
func judge(r miner.Report) error {
	at := "over " + r.Window() + " at " + r.DAG()
	switch {
	case r.Samples == 0:
		return fmt.Errorf("the miner printed no status line %s; expected one a second; check that it knows --display-interval, or make benchmark_duration longer", at)
	case r.Hashrate <= 0:
		return fmt.Errorf("measured %s, the median of %d samples (greatest %s) %s; expected a rate above zero; the miner stopped mining: see its lines", r.Hashrate, r.Samples, r.Max, at)
	case r.Incorrect > 0:
		return fmt.Errorf("measured %s, but %d of its solutions were incorrect %s; expected none; the GPU computes wrongly: lower its clocks or replace the instance", r.Hashrate, r.Incorrect, at)
	case r.Rejected > 0:
		return fmt.Errorf("measured %s, but %d of its solutions were rejected %s; expected none; the miner mines on a wrong DAG or algorithm", r.Hashrate, r.Rejected, at)
	case r.Hashrate < r.Floor:
		return fmt.Errorf("measured %s (%.0f %% of the floor), the median of %d samples from %s to %s, %s; expected min_hashrate %s or more on %s; choose another instance type, look for a driver or a thermal problem, or lower min_hashrate",
			r.Hashrate, 100*float64(r.Hashrate/r.Floor), r.Samples, r.Min, r.Max, at, r.Floor, r.Measured())
	}
	return nil
}

// writeReport leaves benchmark.json on the instance and, if wanted, here.
func (r *run) writeReport(ctx context.Context) error {
	data, err := r.report.Encode()
	if err != nil {
		return err
	}
	if err := r.machine.upload(ctx, r.machine.path("benchmark.json"), bytes.NewReader(data)); err != nil {
		return err
	}
	if _, err := r.machine.run(ctx, script{name: "report", asRoot: true, bound: time.Minute}); err != nil {
		return err
	}
	if r.config.ReportFile == "" {
		return nil
	}
	if err := writeFile(r.config.ReportFile, data); err != nil {
		return fmt.Errorf("report_file %q: %w; choose a path that can be written", r.config.ReportFile, err)
	}
	return nil
}

// writeFile replaces a file at once and makes its folder.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".benchmark-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone after the rename
	_, err = file.Write(data)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(file.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}
