// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// installFiles are what install.sh puts beside the program.
var installFiles = []string{
	"ethminer.service", "ethminer-config.service", "ethminer-metrics.service", "ethminer-metrics.timer",
	"journald.conf", "aws.sh", "config", "metrics", "wait-gpu",
}

// install puts the program, its units and /etc/ethminer in place and asks the
// miner for its version.
func (r *run) install(ctx context.Context) (string, error) {
	for _, file := range installFiles {
		if err := r.machine.uploadOwn(ctx, "image/"+file); err != nil {
			return "", err
		}
	}
	service := "yes"
	if r.config.Service.False() {
		service = "no"
	}
	a, err := r.machine.run(ctx, script{
		name:   "install",
		args:   []string{r.config.BinaryName},
		env:    map[string]string{"SERVICE": service, "DEVICE": r.found.device},
		asRoot: true,
		bound:  5 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	r.found.version = a.fact("version")
	// What was installed is told from what somebody has put there since.
	if err := r.note(ctx, "binary", a.fact("sum"), "image"); err != nil {
		return "", err
	}
	r.stamps["binary"] = a.fact("sum")
	r.installed()
	return "/usr/local/bin/ethminer, " + r.report.Miner, nil
}

// installed begins the report with what is installed.
func (r *run) installed() {
	version := r.found.version
	if version == "" {
		version = "unknown"
	}
	r.report = miner.Report{
		SchemaVersion: miner.ReportSchema,
		Miner:         version,
		Reference:     strings.Contains(strings.ToLower(version), "reference"),
		Source:        r.sourceName(),
		Device:        r.found.device,
		CPU:           r.found.cpu,
	}
	if r.found.device == deviceCUDA {
		r.report.GPUs = r.found.gpus
	}
}

// benchmarked reads the report of an earlier run, for the last lines of this one.
func (r *run) benchmarked() {
	data, err := base64.StdEncoding.DecodeString(r.found.report)
	if err != nil {
		return
	}
	if report, err := miner.DecodeReport(data); err == nil {
		r.report = report
	}
}
