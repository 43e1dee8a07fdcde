// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gpu is the provisioner ethminer-gpu: from an instance with SSH to an
// installed and benchmarked miner. Provision reads as its plan; every phase has
// a file of its own here and a POSIX script of its name under scripts.
package gpu

import (
	"context"
	"errors"
	"fmt"
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

	found  detected
	binary string // path of the built program, on the instance
	report miner.Report
	watch  *watch
}

// phase is a step of the plan. do returns what is worth a few words on the line
// that ends the phase.
type phase struct {
	name string
	do   func(*run, context.Context) (string, error)
}

var plan = []phase{
	{"detect", (*run).detect},
	{"tools", (*run).tools},
	{"source", (*run).source},
	{"build", (*run).build},
	{"install", (*run).install},
	{"benchmark", (*run).benchmark},
	{"gate", (*run).gate},
	{"clean", (*run).clean},
}

// Provision runs the plan. When ctx ends it stops what runs on the instance and
// returns within seconds.
func (p *Provisioner) Provision(ctx context.Context, ui packersdk.Ui, comm packersdk.Communicator, _ map[string]any) (err error) {
	r := &run{config: &p.config, ui: ui, now: p.now}
	if r.now == nil {
		r.now = time.Now
	}
	start := r.now()
	r.machine, err = newMachine(ctx, comm, p.root, !p.config.ExecuteAsRoot.False())
	if err != nil {
		return err
	}
	for _, phase := range plan {
		if err := r.do(ctx, phase); err != nil {
			r.abandon(ctx)
			return err
		}
	}
	ui.Sayf("hash rate: %s (%s)", r.report.Hashrate, r.report.Measured())
	if r.report.Reference {
		ui.Sayf("%s is a stand-in that mines at no pool: set source to a real miner for an image that is to mine", r.report.Miner)
	}
	ui.Sayf("ethminer-gpu took %s", took(r.now().Sub(start)))
	return nil
}

func (r *run) do(ctx context.Context, phase phase) error {
	r.ui.Sayf("%s: started", phase.name)
	start := r.now()
	outcome, err := phase.do(r, ctx)
	spent := took(r.now().Sub(start))
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("%s: cancelled after %s: %w", phase.name, spent, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: failed after %s: %w", phase.name, spent, err)
	}
	r.ui.Sayf("%s: done in %s (%s)", phase.name, spent, outcome)
	return nil
}

// abandon removes the scratch folder after a failure, so that a retry does not
// leave it in the image. A cancelled build has no time for it.
func (r *run) abandon(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if _, err := r.clean(ctx); err != nil && !errors.Is(err, ctx.Err()) {
		r.ui.Errorf("the scratch folder %s stays on the instance: %s", r.machine.work, err)
	}
}

// took rounds a duration for a reader: "0.4s", "12.3s", "3m5s".
func took(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
