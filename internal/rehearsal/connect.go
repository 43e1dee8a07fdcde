// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
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
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// DefaultStateDir is the state folder where none is named.
const DefaultStateDir = "build/rehearsal/state"

// What an instance is.
const (
	Sandbox    = "sandbox" // a machine that one can log in to
	NoInstance = "none"    // only a name
)

// Options say which rehearsal is meant and, where it has to be started, what
// it is to be like.
type Options struct {
	// StateDir is the folder that the server belongs to; empty is
	// DefaultStateDir below the working directory.
	StateDir string
	// Instance is Sandbox or NoInstance; empty takes what runs, and starts a
	// server with Sandbox.
	Instance string
	// Latency is "instant", "fast" or a list, see pace.Parse; empty is "fast".
	// A server that runs keeps its own.
	Latency string
	// Policy is the file of the IAM policy that the caller has; empty takes what
	// runs, and starts a server whose caller may do everything.
	Policy string
	// Owner is the process that the server ends with; 0 is our parent, which
	// is Packer where we are its plugin.
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

// policy reads the policy's file; it is nil where none is named.
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

// Validate says what is wrong with the options. Of what is outside it looks at
// the policy's file only.
func (o Options) Validate() error {
	if o.Instance != "" && o.Instance != Sandbox && o.Instance != NoInstance {
		return fmt.Errorf("the rehearsal's instance is %q, expected %q or %q", o.Instance, Sandbox, NoInstance)
	}
	if _, err := pace.Parse(o.Latency); err != nil {
		return err
	}
	_, err := o.policy()
	return err
}

// serves says why a server that runs is not the one that is meant.
func (o Options) serves(s *Session) error {
	wrong := ""
	if o.Instance != "" && s.Instance != o.Instance {
		wrong = fmt.Sprintf("has instance %q, expected %q", s.Instance, o.Instance)
	}
	wanted, err := o.policy()
	if err != nil {
		return err
	}
	if wanted != nil && (s.Policy == nil || s.Policy.JSON() != wanted.JSON()) {
		wrong = "has another policy than " + o.Policy
		if s.Policy == nil {
			wrong = "has no policy, expected that of " + o.Policy
		}
	}
	if wrong == "" {
		return nil
	}
	return fmt.Errorf("the rehearsal that runs for %s %s: end it with `packer-plugin-ethminer rehearsal-aws stop --state %s`", o.StateDir, wrong, o.StateDir)
}

// The files of a state folder.
const (
	sessionFile = "server.json" // the Session, mode 0600
	lockFile    = "lock"        // locked as long as the server lives
	logFile     = "server.log"
)

// startTimeout is how long a server may take to answer for the first time; a
// sandbox has to be furnished before.
const startTimeout = 45 * time.Second

// inServer is set in a server's environment, so that a program that does not
// know the subcommand can't start itself again and again.
const inServer = "ETHMINER_REHEARSAL_SERVER"

// ErrNone is returned by Find where no server runs.
var ErrNone = errors.New("no rehearsal is running")

// none is ErrNone with its remedy.
func none(stateDir string) error {
	return fmt.Errorf("%w for the state folder %s; a server that a build started ends with Packer: start one with `packer-plugin-ethminer rehearsal-aws serve --state %s`", ErrNone, stateDir, stateDir)
}

// Find returns the session of the server of a state folder, ErrNone where no
// server answers.
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

// Connect finds the server of a state folder or starts one, which outlives us
// and ends with its owners. Of several that connect at once one starts the
// server. Where it can't start, the error is what it said.
func Connect(ctx context.Context, o Options) (*Session, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var started *child
	for {
		s, err := Find(ctx, o.StateDir)
		switch {
		case err == nil && o.serves(s) != nil:
			return nil, o.serves(s)
		case err == nil && s.ask(ctx, "POST", "owner", map[string]int{"pid": o.Owner}, nil) == nil:
			return s, nil
		case err != nil && !errors.Is(err, ErrNone):
			return nil, err
		}
		// None runs, or it is just ending. A child that found another server
		// starting is done; whichever it was answers soon, or ends.
		if started == nil {
			if started, err = start(o); err != nil {
				return nil, err
			}
		}
		select {
		case err := <-started.ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != ExitLocked {
				return nil, fmt.Errorf("starting the rehearsal: %s", started.said(err))
			}
			started = nil
		default:
		}
		select {
		case <-ctx.Done():
			if started != nil {
				started.kill()
			}
			return nil, fmt.Errorf("waiting for the rehearsal to answer (its log is %s): %w", filepath.Join(o.StateDir, logFile), ctx.Err())
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// child is a server that we started.
type child struct {
	cmd   *exec.Cmd
	log   string
	from  int64 // where its part of the log begins
	ended chan error
}

func start(o Options) (*child, error) {
	if os.Getenv(inServer) != "" {
		return nil, errors.New("starting the rehearsal: this process is one already, and it does not know the subcommand rehearsal-aws")
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
	c.cmd = exec.Command(exe, "rehearsal-aws", "serve", "--state", o.StateDir, "--owner", strconv.Itoa(o.Owner))
	if o.Instance != "" {
		c.cmd.Args = append(c.cmd.Args, "--instance", o.Instance)
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
			err = errors.New("the server ended at once")
		}
		c.ended <- err
	}()
	return c, nil
}

// said returns what the child wrote before it ended, or else how it ended.
func (c *child) said(err error) string {
	f, openErr := os.Open(c.log)
	if openErr != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	text, readErr := io.ReadAll(io.NewSectionReader(f, c.from, 16<<10))
	if said := strings.TrimSpace(string(text)); readErr == nil && said != "" {
		return said
	}
	return err.Error()
}

func (c *child) kill() { _ = c.cmd.Process.Kill() } // it may be gone already

// Stop ends the server of a session with all its machines, and returns when it
// is gone.
func (s *Session) Stop(ctx context.Context, stateDir string) error {
	o, err := Options{StateDir: stateDir}.withDefaults()
	if err != nil {
		return err
	}
	if err := s.ask(ctx, "POST", "stop", nil, nil); err != nil {
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
			return fmt.Errorf("waiting for the rehearsal to end: %w", ctx.Err())
		case <-time.After(25 * time.Millisecond):
		}
	}
}
