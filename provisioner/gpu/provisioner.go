// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gpu is the provisioner ethminer-gpu: from an instance with SSH to an
// installed and benchmarked miner. phase.go has the plan; every phase has a file
// of its own here and a POSIX script of its name under scripts.
package gpu

import (
	"context"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Provisioner builds, installs and benchmarks a miner on the instance that
// Packer is connected to.
type Provisioner struct {
	config Config

	// root is put in front of every path outside the scratch folder; tests
	// install into a folder of their own with it.
	root string
	// now is the clock of durations; nil is the system's.
	now func() time.Time
}

var _ packersdk.Provisioner = (*Provisioner)(nil)

// ConfigSpec describes the options to Packer.
func (p *Provisioner) ConfigSpec() hcldec.ObjectSpec {
	return p.config.FlatMapstructure().HCL2Spec()
}

// Prepare checks the options. It makes no call and collects every mistake.
func (p *Provisioner) Prepare(raws ...any) error {
	return p.config.prepare(raws...)
}

// run is one Provision: what its phases have found out so far.
type run struct {
	config  *Config
	ui      packersdk.Ui
	machine *machine
	now     func() time.Time

	found detected
	// stamps are what earlier runs have left, keys what they would be now.
	stamps, keys map[string]string
	sourceHash   string // of a local source, else ""
	libraries    []dependency
	built        built
	report       miner.Report
	watch        *watch
	observed     observed
	port         int // of the miner's API while it is measured, 0 before
	// rebootPatience is how long a reboot may take.
	rebootPatience time.Duration
}

func newRun(p *Provisioner, ui packersdk.Ui, m *machine) *run {
	r := &run{
		config:         &p.config,
		ui:             ui,
		machine:        m,
		now:            p.now,
		libraries:      libraries,
		rebootPatience: p.config.parsed.rebootTimeout,
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

// Provision runs the plan. When ctx ends it stops what runs on the instance and
// returns within seconds.
func (p *Provisioner) Provision(ctx context.Context, ui packersdk.Ui, comm packersdk.Communicator, _ map[string]any) error {
	m, err := newMachine(ctx, comm, p.root, !p.config.ExecuteAsRoot.False())
	if err != nil {
		return err
	}
	r := newRun(p, ui, m)
	start := r.now()
	for _, phase := range plan {
		if err := r.do(ctx, phase); err != nil {
			return err
		}
	}
	if r.wanted("clean") {
		if err := r.leave(ctx); err != nil {
			return err
		}
	}
	if r.report.Hashrate > 0 {
		ui.Sayf("hash rate: %s (%s)", r.report.Hashrate, r.report.Measured())
	}
	if r.report.Reference {
		ui.Sayf("%s is a stand-in, and too slow to earn with: set source to a real miner for an image that is to mine", r.report.Miner)
	}
	ui.Sayf("ethminer-gpu took %s", took(r.now().Sub(start)))
	return nil
}

// took rounds a duration for a reader: "0.4s", "12.3s", "3m5s".
func took(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
