// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gpu implements the provisioner ethminer-gpu, which builds, installs and
// benchmarks a miner. phase.go lists the phases; each phase has its own file and
// POSIX scripts under scripts.
package gpu

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// Provisioner builds, installs and benchmarks a miner on the instance that
// Packer is connected to.
type Provisioner struct {
	config config.Config

	// root is the prefix of every path outside the scratch folder; only tests set
	// it.
	root string
	// now is the clock for durations; nil means the system's.
	now func() time.Time
}

var _ packersdk.Provisioner = (*Provisioner)(nil)

// ConfigSpec describes the options to Packer.
func (p *Provisioner) ConfigSpec() hcldec.ObjectSpec {
	return p.config.FlatMapstructure().HCL2Spec()
}

// Prepare checks the options offline and returns all errors.
func (p *Provisioner) Prepare(raws ...any) error {
	return p.config.Prepare(checkPhases, raws...)
}

func newRun(p *Provisioner, ui packersdk.Ui, m *remote.Machine) *run {
	r := &run{
		config:         &p.config,
		ui:             phaseUI{ui, new(atomic.Bool)},
		machine:        m,
		now:            p.now,
		libraries:      libraries,
		rebootPatience: p.config.Settings().RebootTimeout,
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

// mostResumes limits how often Provision resumes after a lost connection, and
// reconnectPatience the wait for the instance to respond.
const (
	mostResumes       = 3
	reconnectPatience = 3 * time.Minute
)

// Provision runs the plan. If ctx ends, it stops the running script on the instance
// and returns within seconds. If the connection is lost, it reconnects and resumes at
// the first phase that is not done.
func (p *Provisioner) Provision(ctx context.Context, ui packersdk.Ui, comm packersdk.Communicator, _ map[string]any) error {
	m, err := remote.New(ctx, comm, remote.Settings{Scripts: scriptFiles(), Root: p.root, Sudo: !p.config.ExecuteAsRoot.False()})
	if err != nil {
		return err
	}
	r := newRun(p, ui, m)
	start := r.now()
	for n := 1; ; n++ {
		err := r.all(ctx)
		if err == nil {
			break
		}
		if !remote.Lost(err) || ctx.Err() != nil || n > mostResumes {
			return err
		}
		ui.Errorf("%s", err)
		ui.Sayf("Reconnecting to the instance to resume (%d of %d)...", n, mostResumes)
		if lost := m.Reconnect(ctx, reconnectPatience); lost != nil {
			return fmt.Errorf("%w; reconnecting: %w", err, lost)
		}
		r = newRun(p, ui, m)
	}
	if r.report.Hashrate > 0 {
		ui.Sayf("hash rate: %s (%s)", r.report.Hashrate, r.report.Measured())
	}
	if r.report.Reference {
		ui.Sayf("%s is for tests only and too slow for production; to mine, set source to a real miner", r.report.Miner)
	}
	ui.Sayf("ethminer-gpu took %s", took(r.now().Sub(start)))
	return nil
}
