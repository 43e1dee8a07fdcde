// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// installFiles are installed by install.sh beside the program.
var installFiles = []string{
	"ethminer.service", "ethminer-config.service", "ethminer-health.service", "ethminer-health.timer",
	"ethminer-metrics.service", "ethminer-metrics.timer", "ethminer-signal.service", "ethminer-spot.service",
	"journald.conf", "aws.sh", "gpu.sh", "config", "health", "metrics", "signal", "spot", "wait-gpu",
}

// install installs the program, its units and /etc/ethminer, and reads the miner's
// version.
func (r *run) install(ctx context.Context) (string, error) {
	for _, file := range installFiles {
		if err := r.machine.UploadOwn(ctx, "image/"+file); err != nil {
			return "", err
		}
	}
	service := "yes"
	if r.config.Service.False() {
		service = "no"
	}
	a, err := r.machine.Run(ctx, remote.Script{
		Name:   "install",
		Args:   []string{r.config.BinaryName},
		Env:    map[string]string{"SERVICE": service, "DEVICE": r.found.device},
		AsRoot: true,
		Bound:  5 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	r.found.version = a.Fact("version")
	// Lets a later run detect that the program was replaced.
	if err := r.note(ctx, "binary", a.Fact("sum"), "image"); err != nil {
		return "", err
	}
	r.stamps["binary"] = a.Fact("sum")
	r.installed()
	return "/usr/local/bin/ethminer, " + r.report.Miner, nil
}

// installed initializes the report with the installed miner.
func (r *run) installed() {
	version := r.found.version
	if version == "" {
		version = "unknown"
	}
	r.report = miner.Report{
		SchemaVersion: miner.ReportSchema,
		Miner:         version,
		Reference:     strings.Contains(strings.ToLower(version), "reference"),
		Source:        r.config.SourceName(),
		Device:        r.found.device,
		CPU:           r.found.cpu,
	}
	if r.withCUDA() {
		r.report.GPUs = r.found.gpus
	}
}

// intact reports whether the program is unchanged since its installation.
func (r *run) intact() bool {
	return r.found.installed != "" && r.found.installed == r.stamps["binary"]
}

// benchmarked restores the report of an earlier run for the final messages.
func (r *run) benchmarked() {
	data, err := base64.StdEncoding.DecodeString(r.found.report)
	if err != nil {
		return
	}
	if report, err := miner.DecodeReport(data); err == nil {
		r.report = report
	}
}
