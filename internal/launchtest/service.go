// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launchtest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/probe"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// lookEvery is the interval at which the service's state is read.
const lookEvery = time.Second

// lookBound limits reading the state of the service.
const lookBound = 30 * time.Second

// state is the state of ethminer.service, as systemd reports it.
type state struct {
	enabled, load, active, sub, result string
	condition                          bool // the unit's conditions were met when it was last started
	restarts, pid, exit, exitCode      int
	api                                string // the argument of the miner's --api-bind
}

func (r *run) look(ctx context.Context) (state, error) {
	a, err := r.machine.Run(ctx, remote.Script{Name: "service", AsRoot: true, Bound: lookBound})
	if err != nil {
		return state{}, err
	}
	s := state{
		enabled: a.Fact("enabled"), load: a.Fact("LoadState"), active: a.Fact("ActiveState"), sub: a.Fact("SubState"), result: a.Fact("Result"),
		condition: a.Fact("ConditionResult") != "no", api: a.Fact("api"),
	}
	for key, number := range map[string]*int{"NRestarts": &s.restarts, "MainPID": &s.pid, "ExecMainStatus": &s.exit, "ExecMainCode": &s.exitCode} {
		*number, _ = strconv.Atoi(a.Fact(key)) // 0 before the first start
	}
	return s, nil
}

// service is what the test has seen of the running service.
type service struct {
	watch    *benchmark.Watch
	observed benchmark.Observed
	window   time.Duration
}

// service waits until ethminer.service mines, and checks that it keeps running.
func (r *run) service(ctx context.Context) (string, error) {
	s, err := r.look(ctx)
	if err != nil {
		return "", err
	}
	if failed := installed(s); failed != nil {
		return "", failed
	}
	watch, stop := r.follow(ctx, "all")
	defer stop()
	s, err = r.awaitRate(ctx, watch)
	if err != nil {
		return "", err
	}
	begun := time.Now()
	over, asked := make(chan struct{}), make(chan benchmark.Observed, 1)
	go func() {
		q := benchmark.Queries{}
		if port := apiPort(s.api); port > 0 {
			q.API = func(ctx context.Context) (miner.Stat, error) { return probe.API(ctx, r.machine, port) }
		}
		asked <- benchmark.Observe(ctx, over, r.plan.Uptime, q)
	}()
	watch.Measure(true)
	err = r.keepsRunning(ctx, watch, s, begun)
	for end := time.Now().Add(settle); err == nil && watch.Undecided() && time.Now().Before(end); {
		err = pause(ctx, lookEvery)
	}
	watch.Measure(false)
	close(over)
	r.miner = &service{watch, <-asked, time.Since(begun)}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("enabled, and active for %s", time.Since(begun).Round(time.Second)), nil
}

// settle is how long the window is extended for a rate at its end.
const settle = (miner.StopLines + 2) * time.Second

// installed judges the service's unit.
func installed(s state) error {
	switch {
	case s.load != "loaded":
		return fail(Service, "ethminer.service is "+s.load, "the image has no such unit: was ethminer-gpu run, and its phase install?")
	case s.enabled != "enabled" && s.enabled != "enabled-runtime":
		return fail(Service, "ethminer.service is "+s.enabled, "it does not start after a reboot: build with service = true, or run systemctl enable ethminer.service")
	}
	return nil
}

// follow reads the service's log. lines is the number of earlier lines, or "all".
func (r *run) follow(ctx context.Context, lines string) (watch *benchmark.Watch, stop func()) {
	watch = benchmark.NewWatch()
	s := remote.Script{Name: "follow", Args: []string{lines}, AsRoot: true, Bound: r.plan.Start + r.plan.Uptime + time.Hour, Lines: watch.Line}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = r.machine.Run(ctx, s) // it ends by being stopped
	}()
	return watch, func() {
		watch.End()
		r.machine.Stop(s, "TERM", "KILL")
		<-ended
	}
}

// awaitRate waits until the service mines.
func (r *run) awaitRate(ctx context.Context, watch *benchmark.Watch) (state, error) {
	limit := time.After(r.plan.Start)
	for {
		s, err := r.look(ctx)
		if err != nil {
			return s, err
		}
		if failed := starts(s, watch); failed != nil {
			return s, failed
		}
		select {
		case <-watch.Mining:
			if s.pid > 0 && s.active == "active" {
				return s, nil
			}
		default:
		}
		select {
		case <-limit:
			return s, fail(Service, fmt.Sprintf("no hash rate above zero within %s; the service is %s (%s)", r.plan.Start, s.active, s.sub), watch.Remedy(seeLog)).after(watch)
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(lookEvery):
		}
	}
}

// starts judges a service that does not mine yet.
func starts(s state, watch *benchmark.Watch) error {
	switch {
	case s.restarts > 0 || s.active == "failed" || s.sub == "auto-restart":
		return ended(s, watch, "before it mined")
	case s.active == "inactive" && !s.condition:
		return fail(Service, "ethminer.service was not started: /etc/ethminer/ethminer.conf does not exist", "the user data did not write it: see the output of cloud-init in the evidence")
	}
	return nil
}

// ended returns the failure of a service that has ended.
func ended(s state, watch *benchmark.Watch, when string) error {
	usual := seeLog
	switch {
	case s.result == "timeout":
		usual = "its start took too long: usually wait-gpu waits for a GPU that the driver does not list"
	case s.exit == exitExec:
		usual = "systemd cannot execute /usr/local/bin/ethminer: it was built for another processor architecture, or the file is damaged"
	case s.exit >= firstSandbox && s.exit <= lastSandbox:
		usual = "systemd could not set up the unit's sandbox: see docs/service.md"
	}
	return fail(Service, fmt.Sprintf("ethminer.service ended %s (exit code %d)", when, s.exit), watch.Remedy(usual)).after(watch)
}

// seeLog is the remedy of a failure without a known cause.
const seeLog = "see its log in the evidence"

// systemd's own exit codes of a service
// (https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Process%20Exit%20Codes).
const (
	exitExec     = 203
	firstSandbox = 218
	lastSandbox  = 245
)

// keepsRunning watches the service for the plan's time. A service that fails after it has
// mined counts as one that does not run.
func (r *run) keepsRunning(ctx context.Context, watch *benchmark.Watch, before state, begun time.Time) error {
	for {
		s, err := r.look(ctx)
		switch {
		case err != nil:
			return err
		case s.restarts != before.restarts || s.pid != before.pid || s.active != "active":
			return ended(s, watch, fmt.Sprintf("%s after its first rate", time.Since(begun).Round(time.Second)))
		case time.Since(begun) >= r.plan.Uptime:
			return nil
		}
		if err := pause(ctx, min(lookEvery, max(0, r.plan.Uptime-time.Since(begun)))); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// apiPort returns the port of the miner's option --api-bind, which may be negative for a
// read-only API; 0 if there is none.
func apiPort(address string) int {
	n, err := strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
	if err != nil {
		return 0
	}
	return max(n, -n)
}

// hashRate compares the rate of the service's log with that of the image's benchmark.
func (r *run) hashRate(context.Context) (string, error) {
	if r.miner == nil { // the check of the service has failed, and was not chosen
		return "", fail(HashRate, "the service did not mine", "")
	}
	expected := r.booted.report
	got := miner.Report{
		Device: expected.Device, GPUs: expected.GPUs, Block: expected.Block, Epoch: expected.Epoch, DAGBytes: expected.DAGBytes,
		WindowSeconds: math.Round(r.miner.window.Seconds()),
	}
	r.miner.watch.Fill(&got)
	unasked := r.miner.observed.FillAPI(&got)
	r.seen.Rate, r.seen.Expected = got.Hashrate, expected.Hashrate
	if err := benchmark.Judge(got); err != nil {
		return "", fail(HashRate, err.Error(), strings.TrimPrefix(r.miner.watch.Hint(got), "; "))
	}
	saw := fmt.Sprintf("%s by the log", got.Hashrate)
	if unasked == nil {
		saw += fmt.Sprintf(", %s by the API", got.APIHashrate)
	}
	return compare(saw, got.Hashrate, expected, r.plan.MaxDifference)
}

// compare judges a rate by the image's benchmark.
func compare(saw string, rate miner.Rate, expected miner.Report, most float64) (string, error) {
	if expected.Hashrate <= 0 {
		return saw + "; the image has no benchmark to compare it with", nil
	}
	if most == 0 && expected.Device != miner.DeviceCPU {
		most = DefaultMaxDifference
	}
	difference := float64(rate/expected.Hashrate) - 1
	saw += fmt.Sprintf("; the benchmark measured %s (%+.1f %%)", expected.Hashrate, 100*difference)
	if most == 0 {
		return saw + ", not judged, as a CPU's rate depends on what else it does", nil
	}
	if math.Abs(difference) > most {
		return "", fail(HashRate, fmt.Sprintf("%s, which differs by more than %.0f %% (max_difference)", saw, 100*most), cause(difference, expected))
	}
	return saw, nil
}

// cause returns the likely cause of another rate.
func cause(difference float64, expected miner.Report) string {
	switch {
	case difference > 0:
		return "the benchmark measured too little, for example on a GPU that throttled, or the service mines on another DAG"
	case expected.Device == miner.DeviceCUDA:
		return "compare the clocks, the driver and the GPU with those of the build (nvidia-smi), and the unit's options with those of the benchmark"
	}
	return "other programs of the image use the CPU, or the service has other options than the benchmark"
}

// xid checks the kernel's log.
func (r *run) xid(ctx context.Context) (string, error) {
	if r.booted.report.Device != miner.DeviceCUDA {
		return "the image mines on no GPU", nil
	}
	lines, err := probe.Xids(ctx, r.machine)
	if err != nil {
		return "", err
	}
	if len(lines) > 0 {
		return "", fail(Xid, lines[len(lines)-1], "a GPU of this instance has failed: test on another instance; if it happens again, the driver does not suit the GPU")
	}
	return "none", nil
}
