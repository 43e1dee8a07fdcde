// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
)

// phase is a step of the plan. do returns a short result for the line that ends the
// phase.
//
// A finished phase leaves a stamp on the instance: a hash of the inputs of this
// phase and of all phases before it. A later run skips phases with a valid stamp,
// so an interrupted run resumes where it stopped.
type phase struct {
	name string
	do   func(*run, context.Context) (string, error)
	// inputs returns the phase's own inputs; they must encode as JSON. A phase
	// without inputs leaves no stamp and always runs.
	inputs func(*run) any
	// lasting stamps are part of the image, like the result of the phase. Others
	// are in the scratch folder and are removed with it.
	lasting bool
	// by is the later phase whose stamp covers this one too.
	by *phase
	// onlyBy is true if the phase's result is valid only once the phase in by is done.
	onlyBy bool
	// always is true if the phase runs even if the option phases omits it.
	always bool
	// asked, if not nil, reports whether this run includes the phase.
	asked func(*run) bool
	// intact, if not nil, reports whether the result that a stamp describes is
	// unchanged.
	intact func(*run) bool
	// passed, if not nil, runs instead of do when the phase is skipped.
	passed func(*run)
	// leave, if not nil, runs after the last phase.
	leave func(*run, context.Context) error
}

// plan lists the phases in order.
var plan = []*phase{
	{name: "detect", do: (*run).detect, always: true},
	{name: "driver", do: (*run).driver, inputs: (*run).driverInputs, lasting: true},
	{name: "toolkit", do: (*run).toolkit, inputs: (*run).toolkitInputs, by: &installPhase},
	// Edits change the source, so it must be fetched again unless they are done.
	{name: "source", do: (*run).source, inputs: (*run).sourceInputs, by: &editsPhase, onlyBy: true},
	&editsPhase,
	// Its result is in memory only and needed until the miner is built.
	{name: "cuda", do: (*run).cuda, inputs: (*run).cudaInputs, by: &installPhase, onlyBy: true, asked: (*run).withCUDA},
	{name: "configure", do: (*run).configure, inputs: (*run).configureInputs, by: &installPhase},
	{name: "build", do: (*run).build, inputs: (*run).buildInputs, by: &installPhase},
	&installPhase,
	&benchmarkPhase,
	&gatePhase,
	{name: "pool", do: (*run).pool, inputs: (*run).poolInputs, lasting: true, asked: (*run).poolAsked},
	{name: "clean", do: (*run).clean, inputs: (*run).cleanInputs, lasting: true, leave: (*run).leave},
}

// The phases to which others refer.
var (
	editsPhase   = phase{name: "edits", do: (*run).edits, inputs: (*run).editsInputs, by: &installPhase, passed: (*run).edited}
	installPhase = phase{name: "install", do: (*run).install, inputs: (*run).installInputs, lasting: true, intact: (*run).intact, passed: (*run).installed}
	// A benchmark that failed the gate runs again.
	benchmarkPhase = phase{name: "benchmark", do: (*run).benchmark, inputs: (*run).benchmarkInputs, by: &gatePhase, onlyBy: true, passed: (*run).benchmarked}
	gatePhase      = phase{name: "gate", do: (*run).gate, inputs: (*run).gateInputs, lasting: true}
)

// checkPhases checks the option phases.
func checkPhases(names []string) error {
	var known []string
	for _, p := range plan {
		known = append(known, p.name)
	}
	var errs []error
	for i, name := range names {
		if name != hclvalue.Unknown && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("phases[%d] %q: expected one of %s", i, name, strings.Join(known, ", ")))
		}
	}
	if slices.Contains(names, gatePhase.name) != slices.Contains(names, benchmarkPhase.name) {
		errs = append(errs, errors.New("phases: benchmark and gate must be used together; gate evaluates and records what benchmark measures"))
	}
	return errors.Join(errs...)
}

// all runs the plan.
func (r *run) all(ctx context.Context) error {
	for _, p := range plan {
		if err := r.do(ctx, p); err != nil {
			return err
		}
	}
	for _, p := range plan {
		if p.leave != nil && r.wanted(p) {
			if err := p.leave(r, ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// do runs one phase, or prints why it is skipped.
func (r *run) do(ctx context.Context, p *phase) error {
	if p.asked != nil && !p.asked(r) {
		return nil
	}
	if !r.wanted(p) {
		r.ui.Sayf("%s: skipped, not in phases", p.name)
		r.tell(p.name, machinereadable.Skipped, 0)
		return nil
	}
	if r.done(p) {
		r.ui.Sayf("%s: already done, nothing has changed", p.name)
		r.tell(p.name, machinereadable.Skipped, 0)
		if p.passed != nil {
			p.passed(r)
		}
		return nil
	}
	start, end := r.now(), r.announce(p.name)
	outcome, err := r.attempt(ctx, p)
	end()
	spent := took(r.now().Sub(start))
	switch {
	case ctx.Err() != nil && err != nil:
		err = fmt.Errorf("%s: cancelled after %s: %w", p.name, spent, context.Cause(ctx))
	case err != nil:
		err = fmt.Errorf("%s: failed after %s: %w", p.name, spent, err)
	}
	if err != nil {
		r.tell(p.name, machinereadable.Failed, r.now().Sub(start))
		return err
	}
	r.ui.Sayf("%s: done in %s (%s)", p.name, spent, outcome)
	r.tell(p.name, machinereadable.Done, r.now().Sub(start))
	return nil
}

// attempt runs a phase and leaves its stamp.
func (r *run) attempt(ctx context.Context, p *phase) (outcome string, err error) {
	if p.lasting || p.by != nil {
		if err := r.baseline(ctx); err != nil {
			return "", err
		}
	}
	outcome, err = p.do(r, ctx)
	if err == nil && r.keys == nil { // the first phase, detect, has described the instance
		err = r.chain()
	}
	if err == nil && p.inputs != nil && !p.onlyBy {
		err = r.stamp(ctx, p)
	}
	return outcome, err
}

// wanted reports whether the option phases includes a phase.
func (r *run) wanted(p *phase) bool {
	return p.always || len(r.config.Phases) == 0 || slices.Contains(r.config.Phases, p.name)
}

// chain computes every phase's key.
func (r *run) chain() error {
	r.keys = map[string]string{}
	sum := sha256.New()
	for _, p := range plan {
		if p.inputs == nil {
			continue
		}
		data, err := json.Marshal(p.inputs(r))
		if err != nil {
			return fmt.Errorf("encoding the inputs of %s: %w", p.name, err)
		}
		fmt.Fprintf(sum, "%s %s\n", p.name, data)
		r.keys[p.name] = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// done reports whether a phase, or the later phase that covers it, has a valid stamp.
func (r *run) done(p *phase) bool {
	if p.inputs == nil || r.keys == nil {
		return false
	}
	if !p.onlyBy && r.stamps[p.name] == r.keys[p.name] {
		return p.intact == nil || p.intact(r)
	}
	return p.by != nil && r.done(p.by)
}

// stamp records on the instance that a phase is done.
func (r *run) stamp(ctx context.Context, p *phase) error {
	where := "scratch"
	if p.lasting {
		where = "image"
	}
	return r.note(ctx, p.name, r.keys[p.name], where)
}
