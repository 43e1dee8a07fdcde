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
		return "", fmt.Errorf("%w%s%s", verdict, r.hint(), r.shown(r.report.Hashrate == 0))
	}
	if r.watch.log != "" {
		_ = os.Remove(r.watch.log)
	}
	for _, line := range r.oddities() {
		r.ui.Sayf("gate: %s", line)
	}
	result := r.report.Hashrate.String()
	if r.report.LimitShare > 0 {
		result += fmt.Sprintf(", %.0f %% of what the memory allows", 100*r.report.LimitShare)
	}
	if r.report.MhPerJoule > 0 {
		result += fmt.Sprintf(", %.0f W, %.2f Mh/J", r.report.PowerW, r.report.MhPerJoule)
	}
	if r.report.Floor == 0 {
		return result + ", no floor set", nil
	}
	return fmt.Sprintf("%s, the floor is %s", result, r.report.Floor), nil
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
