// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// phase is a step of the plan. do returns what is worth a few words on the line
// that ends the phase.
//
// A finished phase leaves a stamp on the instance: a hash of everything that it
// and the phases before it depend on. A later run passes over a phase whose
// stamp is still right, so that a run that was cut off goes on where it ended,
// and one that was not has nothing to do.
type phase struct {
	name string
	do   func(*run, context.Context) (string, error)
	// inputs is what the phase depends on besides those before it; it must
	// encode as JSON. Without it the phase leaves no stamp and always runs.
	inputs func(*run) any
	// lasting stamps are part of the image: what they stand for is on it. The
	// others are in the scratch folder and go with it.
	lasting bool
	// by names the later phase whose stamp stands for this one too.
	by string
	// only by: the phase's work is lost or outdated until that other one is done.
	onlyBy bool
	// asked, where it is set, says whether the phase is one of this run's.
	asked func(*run) bool
	// passed, where it is set, stands in for do when the phase is passed over.
	passed func(*run)
}

// plan is the order of the phases.
var plan = []phase{
	{name: "detect", do: (*run).detect},
	{name: "driver", do: (*run).driver, inputs: (*run).driverInputs, lasting: true},
	{name: "toolkit", do: (*run).toolkit, inputs: (*run).toolkitInputs, by: "install"},
	// What was edited once is not the source any more.
	{name: "source", do: (*run).source, inputs: (*run).sourceInputs, by: "edits", onlyBy: true},
	{name: "edits", do: (*run).edits, inputs: (*run).editsInputs, by: "install", passed: (*run).edited},
	{name: "configure", do: (*run).configure, inputs: (*run).configureInputs, by: "install"},
	{name: "build", do: (*run).build, inputs: (*run).buildInputs, by: "install"},
	{name: "install", do: (*run).install, inputs: (*run).installInputs, lasting: true, passed: (*run).installed},
	// A rate that did not pass is measured again.
	{name: "benchmark", do: (*run).benchmark, inputs: (*run).benchmarkInputs, by: "gate", onlyBy: true, passed: (*run).benchmarked},
	{name: "gate", do: (*run).gate, inputs: (*run).gateInputs, lasting: true},
	{name: "pool", do: (*run).pool, inputs: (*run).poolInputs, lasting: true, asked: (*run).poolAsked},
	{name: "clean", do: (*run).clean, inputs: (*run).cleanInputs, lasting: true},
}

// phaseNames are the plan's, in its order.
func phaseNames() []string {
	names := make([]string, len(plan))
	for i, p := range plan {
		names[i] = p.name
	}
	return names
}

// do runs one phase, or says why it need not.
func (r *run) do(ctx context.Context, p phase) error {
	if p.asked != nil && !p.asked(r) {
		return nil
	}
	if !r.wanted(p.name) {
		r.ui.Sayf("%s: left out", p.name)
		return nil
	}
	if r.done(p) {
		r.ui.Sayf("%s: done before, nothing has changed", p.name)
		if p.passed != nil {
			p.passed(r)
		}
		return nil
	}
	r.ui.Sayf("%s: started", p.name)
	start := r.now()
	if p.lasting || p.by != "" {
		if err := r.baseline(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	outcome, err := p.do(r, ctx)
	if err == nil && p.name == "detect" {
		err = r.chain()
	}
	if err == nil && p.inputs != nil && !p.onlyBy {
		err = r.stamp(ctx, p)
	}
	spent := took(r.now().Sub(start))
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("%s: cancelled after %s: %w", p.name, spent, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: failed after %s: %w", p.name, spent, err)
	}
	r.ui.Sayf("%s: done in %s (%s)", p.name, spent, outcome)
	return nil
}

// wanted says whether the user asked for a phase. The first is always needed.
func (r *run) wanted(name string) bool {
	return name == plan[0].name || len(r.config.Phases) == 0 || slices.Contains(r.config.Phases, name)
}

// chain computes every phase's key, once it is known what the instance is.
func (r *run) chain() error {
	r.keys = map[string]string{}
	sum := sha256.New()
	for _, p := range plan {
		if p.inputs == nil {
			continue
		}
		data, err := json.Marshal(p.inputs(r))
		if err != nil {
			return fmt.Errorf("encoding what %s depends on: %w", p.name, err)
		}
		fmt.Fprintf(sum, "%s %s\n", p.name, data)
		r.keys[p.name] = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// done says whether a phase has its stamp, or another's that stands for it.
func (r *run) done(p phase) bool {
	if p.inputs == nil || r.keys == nil {
		return false
	}
	if !p.onlyBy && r.stamps[p.name] == r.keys[p.name] {
		return p.name != "install" || r.intact()
	}
	if p.by == "" {
		return false
	}
	return r.done(plan[slices.IndexFunc(plan, func(other phase) bool { return other.name == p.by })])
}

// intact says whether the installed program is the one that was installed.
func (r *run) intact() bool {
	return r.found.installed != "" && r.found.installed == r.stamps["binary"]
}

// stamp notes on the instance that a phase is done.
func (r *run) stamp(ctx context.Context, p phase) error {
	where := "scratch"
	if p.lasting {
		where = "image"
	}
	return r.note(ctx, p.name, r.keys[p.name], where)
}

func (r *run) note(ctx context.Context, name, value, where string) error {
	_, err := r.machine.run(ctx, script{
		name:   "stamp",
		args:   []string{name, value, where},
		asRoot: where == "image",
		bound:  time.Minute,
	})
	return err
}

// scriptsHash changes with every change of the scripts, so that a newer plugin
// does its work anew.
func scriptsHash() string {
	sum := sha256.New()
	_ = fs.WalkDir(scripts, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := scripts.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))
}
