// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

const (
	// lookEvery is the interval of the checks for the end of a warm-up.
	lookEvery = 100 * time.Millisecond
	// endGrace covers connection delays and the miner's shutdown.
	endGrace = time.Minute
)

// errEnded is returned when the miner exits while it should be mining.
var errEnded = errors.New("the miner exited unexpectedly")

// minerScript returns a run of the installed miner with args, limited to bound. If
// the instance runs systemd, it uses the unit's user and sandbox.
func (r *run) minerScript(ctx context.Context, bound time.Duration, args []string) (remote.Script, error) {
	a, err := r.machine.Run(ctx, remote.Script{Name: "unit", AsRoot: true, Bound: time.Minute})
	if err != nil {
		return remote.Script{}, err
	}
	s := remote.Script{
		Name:  "benchmark",
		Args:  append([]string{strconv.Itoa(int(bound.Seconds()))}, args...),
		Bound: bound,
	}
	r.withoutUnit = a.Fact("without")
	if r.report.UnderUnit = r.withoutUnit == ""; r.report.UnderUnit {
		s.AsRoot = true
		s.Env = map[string]string{"UNIT": "yes"}
	}
	return s, nil
}

// mine runs the miner until do returns, and then stops it. r.watch reads its lines.
// ended receives the result of a miner that exits earlier.
func (r *run) mine(ctx context.Context, s remote.Script, do func(ended <-chan error) error) error {
	s.Lines = r.watch.Line
	ended := make(chan error, 1)
	go func() {
		_, err := r.machine.Run(ctx, s)
		ended <- err
		close(ended)
	}()
	err := do(ended)
	r.watch.End()
	if ctx.Err() != nil {
		for range ended { // run stops the miner in this case and waits only briefly
		}
	} else if !errors.Is(err, errEnded) {
		r.machine.Stop(s, "INT", "TERM", "KILL")
		select {
		case last := <-ended: // nil if it was already received
			r.watch.Log = remote.LogFile(last)
		case <-time.After(endGrace):
		}
	}
	return err
}

// deviceArg returns the miner's option for its device.
func (r *run) deviceArg() string {
	if r.withCUDA() {
		return "-U"
	}
	return "--cpu"
}

// pause lets the miner run for length. It returns early once enough, if not nil,
// returns true. doing describes it in progress lines, with the rate.
func (r *run) pause(ctx context.Context, ended <-chan error, length time.Duration, doing string, enough func() bool) error {
	over := time.NewTimer(length)
	defer over.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	start := r.now()
	defer r.status.set(func() string {
		return fmt.Sprintf("%s, %s after %s of %s", doing, r.watch.Rate(), took(r.now().Sub(start)), length)
	})()
	for {
		select {
		case <-over.C:
			return nil
		case <-look.C:
			if enough != nil && enough() {
				return nil
			}
		case err := <-ended:
			return r.endedEarly(ctx, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *run) endedEarly(ctx context.Context, err error) error {
	var failed *remote.ScriptError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &failed) || failed.Lost:
		return err
	}
	r.watch.Log = failed.Log
	return fmt.Errorf("%w (%s)", errEnded, failed.Reason)
}
