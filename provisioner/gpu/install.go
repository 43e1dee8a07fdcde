// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// install puts the binary, the unit and /etc/ethminer in place and asks the
// miner for its version.
func (r *run) install(ctx context.Context) (string, error) {
	if err := r.machine.uploadOwn(ctx, "ethminer.service"); err != nil {
		return "", err
	}
	service := "yes"
	if r.config.Service.False() {
		service = "no"
	}
	a, err := r.machine.run(ctx, script{
		name:   "install",
		args:   []string{r.binary},
		env:    map[string]string{"SERVICE": service},
		asRoot: true,
		bound:  2 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	r.report = miner.Report{
		SchemaVersion: miner.ReportSchema,
		Miner:         a.fact("version"),
		Reference:     strings.Contains(strings.ToLower(a.fact("version")), "reference"),
		Source:        r.sourceName(),
		Device:        r.found.device,
		CPU:           r.found.cpu,
	}
	if r.found.device == deviceCUDA {
		r.report.GPUs = r.found.gpus
	}
	return "/usr/local/bin/ethminer, " + r.report.Miner, nil
}
