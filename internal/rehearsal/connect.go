// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// DefaultStateDir is the default state folder.
const DefaultStateDir = "build/rehearsal/state"

// Kinds of instances.
const (
	Sandbox    = "sandbox" // instances accept SSH connections
	NoInstance = "none"    // instances have states but no machine
)

// Options select a rehearsal, and configure it if it must be started.
type Options struct {
	// StateDir is the folder that the server belongs to; empty is
	// DefaultStateDir below the working directory.
	StateDir string
	// Instance is Sandbox or NoInstance; empty uses the setting of a running
	// server, or Sandbox.
	Instance string
	// Base is what the instances of Sandbox are made from, see instance.CheckBase; empty
	// uses the setting of a running server, or the host's root.
	Base string
	// Latency is "instant", "fast" or a list, see pace.Parse; empty is "fast".
	// A running server keeps its own setting.
	Latency string
	// Policy is the file of the caller's IAM policy; empty uses the policy of a
	// running server, or allows everything.
	Policy string
	// Owner is the process with which the server stops; 0 is the parent process,
	// which is Packer for a plugin.
	Owner int
}

func (o Options) withDefaults() (Options, error) {
	if o.StateDir == "" {
		o.StateDir = DefaultStateDir
	}
	if o.Owner == 0 {
		o.Owner = os.Getppid()
	}
	if err := o.Validate(); err != nil {
		return o, err
	}
	var err error
	o.StateDir, err = filepath.Abs(o.StateDir)
	return o, err
}

// ServeCommand returns the command that starts a server with these options, which runs
// until it is stopped.
func (o Options) ServeCommand() string {
	command := "packer-plugin-ethminer rehearsal-aws serve -state " + shellquote.Word(cmp.Or(o.StateDir, DefaultStateDir))
	for _, option := range []struct{ name, value, standard string }{
		{"-instance", o.Instance, Sandbox}, {"-base", o.Base, instance.HostBase}, {"-latency", o.Latency, "fast"}, {"-policy", o.Policy, ""},
	} {
		if option.value != "" && option.value != option.standard {
			command += " " + option.name + " " + shellquote.Word(option.value)
		}
	}
	return command
}

// policy parses the policy file; it is nil without one.
func (o Options) policy() (*policy.Document, error) {
	if o.Policy == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.Policy)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	d, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Policy, err)
	}
	return d, nil
}

// Validate checks the options. It reads no file except the policy.
func (o Options) Validate() error {
	if o.Instance != "" && o.Instance != Sandbox && o.Instance != NoInstance {
		return fmt.Errorf("rehearsal instance: got %q, want %q or %q", o.Instance, Sandbox, NoInstance)
	}
	if err := instance.CheckBase(o.Base); err != nil {
		return fmt.Errorf("rehearsal base: %w", err)
	}
	if _, err := pace.Parse(o.Latency); err != nil {
		return err
	}
	_, err := o.policy()
	return err
}

// checkSettings returns an error if a running server has other settings than requested.
func (o Options) checkSettings(s *Session) error {
	wrong := ""
	if o.Instance != "" && s.Instance != o.Instance {
		wrong = fmt.Sprintf("has instance %q, want %q", s.Instance, o.Instance)
	}
	if o.Base != "" && s.Instance == Sandbox && s.Base != o.Base {
		wrong = fmt.Sprintf("has base %q, want %q", s.Base, o.Base)
	}
	requested, err := o.policy()
	if err != nil {
		return err
	}
	if requested != nil && (s.Policy == nil || s.Policy.JSON() != requested.JSON()) {
		wrong = "has a policy other than " + o.Policy
		if s.Policy == nil {
			wrong = "has no policy, want " + o.Policy
		}
	}
	if wrong == "" {
		return nil
	}
	return fmt.Errorf("the rehearsal running for %s %s; stop it with `packer-plugin-ethminer rehearsal-aws stop --state %s`", o.StateDir, wrong, shellquote.Word(o.StateDir))
}

// Files of a state folder.
const (
	sessionFile = "server.json" // the Session, mode 0600
	lockFile    = "lock"        // locked while the server runs
	logFile     = "server.log"
)

// startTimeout limits the time until the first response of a server. The first server of
// a host downloads packages for its instances.
const startTimeout = 10 * time.Minute

// inServer is set in a server's environment. It prevents a program that lacks the
// subcommand from starting itself repeatedly.
const inServer = "ETHMINER_REHEARSAL_SERVER"

// ErrNone is returned by Find if no server is running.
var ErrNone = errors.New("no rehearsal is running")

// none returns ErrNone with its remedy.
func none(stateDir string) error {
	return fmt.Errorf("%w for the state folder %s (the server of a build stops with Packer); start one with `packer-plugin-ethminer rehearsal-aws serve --state %s`", ErrNone, stateDir, shellquote.Word(stateDir))
}

// Find returns the session of a state folder's server, or ErrNone if no server
// responds.
func Find(ctx context.Context, stateDir string) (*Session, error) {
	o, err := Options{StateDir: stateDir}.withDefaults()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(o.StateDir, sessionFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, none(o.StateDir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the rehearsal's session: %w", err)
	}
	s := &Session{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("reading the rehearsal's session in %s: %w", o.StateDir, err)
	}
	if !s.healthy(ctx) {
		return nil, none(o.StateDir)
	}
	return s, nil
}

// Connect finds the server of a state folder or starts one. The server runs until its
// owners end. Of several concurrent calls, one starts the server. If the server cannot
// start, the error contains its output.
func Connect(ctx context.Context, o Options) (*Session, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var started *child
	// A child that is not the server would become one when the server stops.
	superfluous := func(s *Session) bool { return started != nil && started.cmd.Process.Pid != s.PID }
	for {
		s, err := Find(ctx, o.StateDir)
		switch {
		case err == nil && o.checkSettings(s) != nil:
			if superfluous(s) {
				started.kill()
			}
			return nil, o.checkSettings(s)
		case err == nil && s.request(ctx, "POST", "owner", map[string]int{"pid": o.Owner}, nil) == nil:
			if superfluous(s) {
				started.kill()
			}
			return s, nil
		case err != nil && !errors.Is(err, ErrNone):
			return nil, err
		}
		// No server runs, or it is stopping. A child exits if another server is
		// starting; then that server responds soon or exits.
		if started == nil {
			if started, err = start(o); err != nil {
				return nil, err
			}
		}
		select {
		case err := <-started.ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != ExitLocked {
				return nil, fmt.Errorf("starting the rehearsal: %s", started.output(err))
			}
			started = nil
		default:
		}
		select {
		case <-ctx.Done():
			if started != nil {
				started.kill()
			}
			return nil, fmt.Errorf("waiting for a response from the rehearsal (see its log %s): %w", filepath.Join(o.StateDir, logFile), ctx.Err())
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// child is a server started by this process.
type child struct {
	cmd   *exec.Cmd
	log   string
	from  int64 // start of its output in the log
	ended chan error
}

func start(o Options) (*child, error) {
	if os.Getenv(inServer) != "" {
		return nil, errors.New("starting the rehearsal: this program does not support the subcommand rehearsal-aws")
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("starting the rehearsal: %w", err)
	}
	if err := makeStateDir(o.StateDir); err != nil {
		return nil, err
	}
	c := &child{log: filepath.Join(o.StateDir, logFile), ended: make(chan error, 1)}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting the rehearsal: %w", err)
	}
	defer func() { _ = out.Close() }()
	giveToSudoUser(c.log)
	if c.from, err = out.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("starting the rehearsal: %w", err)
	}
	c.cmd = exec.Command(exe, "rehearsal-aws", "serve", "--state", o.StateDir, "--owner", strconv.Itoa(o.Owner)) //nolint:gosec // this program
	if o.Instance != "" {
		c.cmd.Args = append(c.cmd.Args, "--instance", o.Instance)
	}
	if o.Base != "" {
		c.cmd.Args = append(c.cmd.Args, "--base", o.Base)
	}
	if o.Latency != "" {
		c.cmd.Args = append(c.cmd.Args, "--latency", o.Latency)
	}
	if o.Policy != "" {
		c.cmd.Args = append(c.cmd.Args, "--policy", o.Policy)
	}
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.Env = append(os.Environ(), inServer+"=1")
	detach(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the rehearsal: %w", err)
	}
	go func() {
		err := c.cmd.Wait()
		if err == nil {
			err = errors.New("the server exited immediately")
		}
		c.ended <- err
	}()
	return c, nil
}

// output returns the output of the child, or else its exit error.
func (c *child) output(err error) string {
	f, openErr := os.Open(c.log)
	if openErr != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	text, readErr := io.ReadAll(io.NewSectionReader(f, c.from, 16<<10))
	if output := strings.TrimSpace(string(text)); readErr == nil && output != "" {
		return output
	}
	return err.Error()
}

func (c *child) kill() { _ = c.cmd.Process.Kill() } // it may have exited

// Stop stops the server of a session with all its machines and waits for its end.
func (s *Session) Stop(ctx context.Context, stateDir string) error {
	o, err := Options{StateDir: stateDir}.withDefaults()
	if err != nil {
		return err
	}
	if err := s.request(ctx, "POST", "stop", nil, nil); err != nil {
		return err
	}
	for {
		lock, err := takeLock(filepath.Join(o.StateDir, lockFile))
		if err == nil {
			return lock.Close()
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the rehearsal to stop: %w", ctx.Err())
		case <-time.After(25 * time.Millisecond):
		}
	}
}
