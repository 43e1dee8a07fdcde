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

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// gate evaluates the benchmark and writes the report before it fails.
func (r *run) gate(ctx context.Context) (string, error) {
	verdict := benchmark.Judge(r.report)
	r.report.Verdict = miner.VerdictPassed
	if verdict != nil {
		r.report.Verdict = miner.VerdictFailed
	}
	if err := r.writeReport(ctx); err != nil {
		return "", err
	}
	if verdict != nil {
		return "", fmt.Errorf("%w%s%s", verdict, r.watch.Hint(r.report), r.watch.Shown(r.report.Hashrate == 0))
	}
	if r.watch.Log != "" {
		_ = os.Remove(r.watch.Log)
	}
	for _, line := range benchmark.Oddities(r.report, r.found.device, r.found.instanceType) {
		r.ui.Sayf("gate: %s", line)
	}
	result := r.report.Hashrate.String()
	if r.report.LimitShare > 0 {
		result += fmt.Sprintf(", %.0f %% of the memory bandwidth limit (%s)", 100*r.report.LimitShare, r.report.LimitSource)
	}
	if r.report.MhPerJoule > 0 {
		result += fmt.Sprintf(", %.0f W, %.2f Mh/J", r.report.PowerW, r.report.MhPerJoule)
	}
	if r.report.Floor == 0 {
		return result + ", min_hashrate not set", nil
	}
	return fmt.Sprintf("%s, min_hashrate is %s", result, r.report.Floor), nil
}

// writeReport writes benchmark.json on the instance and to report_file.
func (r *run) writeReport(ctx context.Context) error {
	data, err := r.report.Encode()
	if err != nil {
		return err
	}
	if err := r.machine.Upload(ctx, "benchmark.json", bytes.NewReader(data)); err != nil {
		return err
	}
	if _, err := r.machine.Run(ctx, remote.Script{Name: "report", AsRoot: true, Bound: time.Minute}); err != nil {
		return err
	}
	if r.config.ReportFile == "" {
		return nil
	}
	if err := writeFile(ctx, r.config.ReportFile, data); err != nil { // not worth losing the image
		r.ui.Sayf("Warning: report_file %q: %s; the report is in the image: /etc/ethminer/benchmark.json", r.config.ReportFile, err)
	}
	return nil
}

// writeFile replaces a file and creates its folder.
func writeFile(ctx context.Context, path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	_, err := atomicfile.Update(ctx, path, func([]byte) ([]byte, error) { return data, nil })
	return err
}
