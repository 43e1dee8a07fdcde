// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// Script is one run of a script.
type Script struct {
	// Name is the file's, without .sh.
	Name string
	// From holds the file; nil means the scripts of the machine.
	From fs.FS
	Args []string
	// Env is the script's environment.
	Env map[string]string
	// Secret is a line for the script's variable SECRET. No file and no command
	// contains it: the blocks of a deleted file would stay in the image.
	Secret string
	// AsRoot runs it through sudo if the login user is not root.
	AsRoot bool
	// Bound is the time after which the instance itself ends the script.
	Bound time.Duration
	// Lines receives every line of output that is not part of the protocol.
	Lines func(string)
}

// Run uploads a script and runs it. The error is a *ScriptError if the script
// failed, ctx's cause if that ended first, otherwise the connection's. The output
// of a failed script is kept in a local file. A script that the instance should have
// ended by now is lost.
func (m *Machine) Run(ctx context.Context, s Script) (*Answer, error) {
	from := s.From
	if from == nil {
		from = m.scripts
	}
	if err := m.uploadFrom(ctx, from, s.Name+".sh"); err != nil {
		return nil, err
	}
	log := newLog(s.Name)
	defer log.close()

	a := &Answer{facts: map[string][]string{}}
	each := func(line string) {
		line = redact.String(line)
		if a.read(line) {
			return
		}
		log.line(line)
		if s.Lines != nil {
			s.Lines(line)
		}
	}
	// Standard output and error are two concurrent streams.
	var mu sync.Mutex
	locked := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		each(line)
	}
	out, diag := &miner.Lines{Each: locked}, &miner.Lines{Each: locked}
	bounded, cancel := context.WithTimeoutCause(ctx, s.Bound+runGrace, errSilent)
	defer cancel()
	status, err := m.start(bounded, m.command(s), s.Secret, out, diag, func() { m.Stop(s, "TERM", "KILL") })
	if errors.Is(err, errSilent) {
		mu.Lock() // the output may still arrive
		defer mu.Unlock()
		return a, m.explain(s, a, packersdk.CmdDisconnect, log)
	}
	if err != nil {
		return nil, err
	}
	out.Flush()
	diag.Flush()
	if status == 0 && a.ok {
		return a, nil
	}
	return a, m.explain(s, a, status, log)
}

// Ask runs a script whose result is optional: it waits slightly longer than the
// script's bound, even if the connection hangs.
func (m *Machine) Ask(ctx context.Context, s Script) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Bound+askGrace)
	defer cancel()
	return m.Run(ctx, s)
}

// askGrace covers connection delays, runGrace also a slow end of the script.
const (
	askGrace = 10 * time.Second
	runGrace = 2 * time.Minute
)

// errSilent ends the wait for a script that the instance should have ended by now.
var errSilent = errors.New("the connection is silent")

// explain returns the error for an exit without "@ok".
func (m *Machine) explain(s Script, a *Answer, status int, log *localLog) error {
	failure := &ScriptError{
		Reason: strings.Join(a.fail, "\n"),
		remedy: strings.Join(a.remedy, "; "),
		Log:    log.keep(),
	}
	switch {
	case failure.Reason != "":
		failure.Last = miner.Printable(log.recent)
	case status == packersdk.CmdDisconnect || status == 0 || status == 123:
		failure.Lost = true
		failure.Reason = "the connection to the instance was lost while " + s.Name + " ran"
		failure.remedy = "check that the instance is up and was not rebooted; a further run of the provisioner resumes here (max_retries)"
	case status == 124 || status == 137:
		failure.Reason = fmt.Sprintf("%s did not finish within %s", s.Name, s.Bound)
	default:
		failure.Reason = fmt.Sprintf("%s ended with exit code %d", s.Name, status)
		failure.Last = miner.Printable(log.recent)
	}
	return failure
}

// command returns the shell command that runs a script on the instance.
func (m *Machine) command(s Script) string {
	words := m.as(s.AsRoot)
	words = append(words, "env", "LC_ALL=C", "ETHMINER_ROOT="+m.root, "WORK="+m.Work)
	for _, env := range []map[string]string{m.Env, s.Env} {
		for _, key := range slices.Sorted(maps.Keys(env)) {
			words = append(words, key+"="+env[key])
		}
	}
	if s.Secret != "" {
		words = append(words, "SECRET=stdin")
	}
	words = append(words, "sh", m.path("run.sh"), m.pidFile(s), strconv.Itoa(max(1, int(s.Bound.Seconds()))), m.path(s.Name+".sh"))
	return commandLine(append(words, s.Args...)...)
}

// pidFile differs for root and the login user, who cannot write each other's file.
func (m *Machine) pidFile(s Script) string {
	if s.AsRoot {
		return m.path(s.Name + ".root.pid")
	}
	return m.path(s.Name + ".pid")
}

// stopBound limits a stop; the instance ends remaining scripts at their own
// bounds.
const stopBound = 30 * time.Second

// Stop sends each signal in turn to a script's process group until it has ended.
func (m *Machine) Stop(s Script, signals ...string) {
	words := append(m.as(s.AsRoot), "sh", m.path("stop.sh"), m.pidFile(s))
	ctx, cancel := context.WithTimeout(context.Background(), stopBound)
	defer cancel()
	_, _ = m.start(ctx, commandLine(append(words, signals...)...), "", io.Discard, io.Discard, nil)
}
