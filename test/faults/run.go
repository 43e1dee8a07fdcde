// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// rate is the speed of the plugin's clock; the Makefile links it with the same.
const rate = 20

// pacing is EC2's at that speed: a new id is not found for one second of the clock, an
// image takes six.
var pacing = pace.Profile{
	Running: 100 * time.Millisecond, Stopped: 100 * time.Millisecond, Terminated: 100 * time.Millisecond,
	Image: 300 * time.Millisecond, Copy: 300 * time.Millisecond, Stack: 50 * time.Millisecond,
	NotFound: 50 * time.Millisecond, Name: 100 * time.Millisecond, Progress: pace.Linear,
}

// settled is longer than each of these, and than a fault's delay.
const settled = lateID + 200*time.Millisecond

// hung is how long a build may take. Its own longest wait is 15 minutes of its clock
// for an outage, which is 45 s.
const (
	hung     = 150 * time.Second
	hungPeer = 15 * time.Minute // amazon-ebs has no fast clock
)

// Credentials of the simulated account.
const (
	accessKey = "AKIAFAULTSWEEPFAULTS"
	secretKey = "of-the-simulated-account"
)

// target is the request that a fault strikes: the nth of a call.
type target struct {
	call
	nth int
}

// run is one build with one fault.
type run struct {
	scenario scenario
	fault    *fault
	target   target
	tools    tools

	server   *rehearsal.Server
	proxy    *proxy
	folder   string
	before   inventory // of the account
	template string

	mu     sync.Mutex
	packer *exec.Cmd
	builds []build

	done    bool // to its end
	verdict verdict
	why     []string // what is wrong, a line each
	leaks   []ec2.Resource
}

// tools are the programs of a run.
type tools struct {
	packer, plugin string // executables
	plugins        string // the folder in which Packer finds the plugin
}

// build is one run of Packer.
type build struct {
	output string
	code   int // exit code; -1 if killed
	hung   bool
}

// inventory is the resources of an account by region.
type inventory = map[string][]ec2.Resource

func (r *run) String() string {
	if r.fault == nil {
		return r.scenario.name + ": no fault"
	}
	return fmt.Sprintf("%s: %s at %s, request %d", r.scenario.name, r.fault.name, r.target.call, r.target.nth)
}

// do prepares an account and runs the build in it, and a second build where the fault
// needs one.
func (r *run) do(ctx context.Context) error {
	pacing := r.scenario.pacing()
	if r.fault != nil && r.fault.unseen > 0 {
		pacing.NotFound = r.fault.unseen
	}
	r.server = rehearsal.New(rehearsal.Config{Pace: pacing, OptIn: true, AccessKey: accessKey, SecretKey: secretKey})
	defer func() { _ = r.server.Close() }()
	if r.scenario.prepare != nil {
		if err := r.scenario.prepare(ctx, r.server, r.scenario); err != nil {
			return fmt.Errorf("preparing the account: %w", err)
		}
	}
	r.before = r.server.Inventory()
	folder, err := os.MkdirTemp("", "faults")
	if err != nil {
		return err
	}
	r.folder = folder
	defer func() { _ = os.RemoveAll(folder) }()
	r.template = r.scenario.files("")["stack.template"]

	r.proxy = &proxy{aws: r.server, target: r.target, fault: r.fault, signal: r.signal}
	listener := r.proxy.start()
	defer listener.Close()
	defer listener.CloseClientConnections()
	if err := r.build(ctx, listener.URL, ""); err != nil {
		return err
	}
	if err := r.goOn(ctx, listener.URL); err != nil {
		return err
	}
	r.proxy.heal()
	time.Sleep(settled)
	return r.judge(ctx, listener.URL)
}

// goOn runs what follows a killed build: its sweep, or the same build again.
func (r *run) goOn(ctx context.Context, endpoint string) error {
	if r.scenario.peer || r.fault == nil || !strings.HasPrefix(r.fault.signal, "kill") || r.proxy.struck == 0 {
		return nil
	}
	time.Sleep(settled)
	id := buildID.FindStringSubmatch(r.builds[0].output)
	if id == nil {
		return nil // killed before it had one
	}
	if r.fault.signal == "kill both" {
		return r.sweep(ctx, endpoint, id[1])
	}
	return r.build(ctx, endpoint, id[1])
}

var buildID = regexp.MustCompile(`Build ID: (\S+)`)

// environ is the environment of the account behind an endpoint.
func (r *run) environ(endpoint string) []string {
	return append(os.Environ(),
		"AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION="+home, "AWS_DEFAULT_REGION="+home, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"PACKER_PLUGIN_PATH="+r.tools.plugins, "PACKER_CONFIG_DIR="+filepath.Join(r.folder, "packer-config"),
		"CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1", "TMPDIR="+r.folder,
		"PATH="+filepath.Dir(r.tools.plugin)+":"+filepath.Dir(r.tools.packer)+":"+os.Getenv("PATH"),
	)
}

// build runs Packer until it and its plugins have ended. With an id it resumes a
// build.
func (r *run) build(ctx context.Context, endpoint, resume string) error {
	for name, text := range r.scenario.files(resume) {
		if resume != "" && name == "stack.template" {
			continue
		}
		if err := os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command(r.tools.packer, "build", "build.pkr.hcl")
	return r.start(ctx, cmd, endpoint)
}

// sweep removes what a killed build left.
func (r *run) sweep(ctx context.Context, endpoint, id string) error {
	return r.start(ctx, exec.Command(r.tools.plugin, "sweep", "-build-id", id, "-yes", "-region", strings.Join(r.scenario.regions, ",")), endpoint)
}

func (r *run) start(ctx context.Context, cmd *exec.Cmd, endpoint string) error {
	var output bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.folder, r.environ(endpoint), &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Minute // plugins of a killed Packer hold its output
	r.mu.Lock()
	err := cmd.Start()
	r.packer = cmd
	r.mu.Unlock()
	if err != nil {
		return err
	}
	group := cmd.Process.Pid
	timer := time.AfterFunc(r.limit(), func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
	defer stop()
	err = cmd.Wait()
	inTime := timer.Stop()
	// The group is empty once the plugins of a killed Packer have ended, too.
	for limit := time.Now().Add(30 * time.Second); syscall.Kill(-group, 0) == nil && time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
	}
	inTime = inTime && syscall.Kill(-group, syscall.SIGKILL) != nil
	b := build{output: output.String(), code: cmd.ProcessState.ExitCode(), hung: !inTime}
	r.builds = append(r.builds, b)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("running Packer: %w", err)
	}
	return ctx.Err()
}

func (r *run) limit() time.Duration {
	if r.scenario.peer {
		return hungPeer
	}
	return hung
}

// signal sends the fault's signal to the build.
func (r *run) signal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	packer := r.packer.Process.Pid
	switch r.fault.signal {
	case "cancel": // a terminal signals the whole group
		_ = syscall.Kill(-packer, syscall.SIGINT)
	case "cancel twice":
		_ = syscall.Kill(-packer, syscall.SIGINT)
		time.AfterFunc(signalLead, func() { _ = syscall.Kill(-packer, syscall.SIGINT) })
	case "terminate":
		_ = syscall.Kill(packer, syscall.SIGTERM)
	case "kill both":
		_ = syscall.Kill(-packer, syscall.SIGKILL)
	case "kill packer":
		for _, pid := range r.group(false) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	case "kill plugin":
		for _, pid := range r.group(true) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// group returns the plugin's processes of the build, or the others.
func (r *run) group(plugin bool) (pids []int) {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		group, err := syscall.Getpgid(pid)
		if err != nil || group != r.packer.Process.Pid {
			continue
		}
		command, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err == nil && plugin == strings.Contains(strings.Split(string(command), "\x00")[0], "packer-plugin-") {
			pids = append(pids, pid)
		}
	}
	return pids
}
