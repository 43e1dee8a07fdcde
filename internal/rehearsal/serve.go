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
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// ExitLocked is the exit code of a server whose state folder is in use by another server.
const ExitLocked = 5

// ErrRunning is returned by Serve if the state folder already has a server.
var ErrRunning = errors.New("another rehearsal is running for this state folder")

// Serve runs the server of a state folder until ctx is done, a stop request arrives, or
// its last owner ends. With o.Owner 0 it has no owner. It writes one line for each
// event to log.
func Serve(ctx context.Context, o Options, log io.Writer) (err error) {
	owner := o.Owner
	if o, err = o.withDefaults(); err != nil {
		return err
	}
	latency, err := pace.Parse(o.Latency)
	if err != nil {
		return err
	}
	caller, err := o.policy()
	if err != nil {
		return err
	}
	if o.Instance == "" {
		o.Instance = Sandbox
	}
	if err := makeStateDir(o.StateDir); err != nil {
		return err
	}
	lock, err := takeLock(filepath.Join(o.StateDir, lockFile))
	if errors.Is(err, errLocked) {
		return ErrRunning
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	giveToSudoUser(filepath.Join(o.StateDir, lockFile))

	var mu sync.Mutex
	cfg := Config{Pace: latency, Policy: caller, Log: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(log, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...)) // errors of the log cannot be reported
	}}
	session := Session{AccountID: AccountID, CallerIP: CallerIP, Instance: o.Instance, Latency: o.Latency, Policy: caller, PID: os.Getpid(), Owned: owner != 0}
	if o.Instance == Sandbox {
		session.Base = cmp.Or(o.Base, instance.HostBase)
		if cfg.Host, err = instance.NewHost(filepath.Join(o.StateDir, "host"), session.Base); err != nil {
			return o.instanceError(err, owner != 0)
		}
		session.SSHPort = cfg.Host.Port()
	}
	server := New(cfg)
	defer func() {
		err = errors.Join(err, server.Close(), os.RemoveAll(filepath.Join(o.StateDir, "host")))
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening on loopback: %w", err)
	}
	session.Endpoint = "http://" + listener.Addr().String()
	server.tunnel.Serve(session.Endpoint + sessionPath)
	session.AccessKey, session.SecretKey = server.cfg.AccessKey, server.cfg.SecretKey

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	owners := newOwners(ctx, cancel, owner == 0)
	server.mu.Lock()
	server.describe, server.onOwner, server.onStop = func() Session { return session }, owners.add, cancel
	server.mu.Unlock()
	if owner != 0 {
		if err := owners.add(owner); err != nil {
			return errors.Join(err, listener.Close())
		}
	}

	file := filepath.Join(o.StateDir, sessionFile)
	if err := writeSession(file, session); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	cfg.Log("serving %s at %s, instance %s", o.StateDir, session.Endpoint, o.Instance)

	h := &http.Server{Handler: forLoopback(server), ReadHeaderTimeout: 10 * time.Second}
	h.RegisterOnShutdown(server.tunnel.EndAll)
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(listener) }()
	select {
	case err = <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	cfg.Log("ending")
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	if h.Shutdown(stop) != nil {
		return h.Close()
	}
	return nil
}

// instanceError adds the remedies to the reason why this host does not support
// rehearsal instances. A build has started the server if it has an owner.
func (o Options) instanceError(err error, owned bool) error {
	option := "--instance"
	if owned {
		option = "rehearsal_instance"
	}
	remedy := fmt.Sprintf("set %s to %q, which supports everything except provisioning", option, NoInstance)
	if errors.Is(err, instance.ErrNotRoot) {
		remedy = fmt.Sprintf("start the server with `sudo %s`, or %s", o.ServeCommand(), remedy)
	}
	return fmt.Errorf("%s: got %q: %w; %s", option, Sandbox, err, remedy)
}

// writeSession atomically writes the session to a file that only its user can read.
func writeSession(file string, s Session) error {
	text, err := json.MarshalIndent(s, "", "  ") //nolint:gosec // its key is valid only for the rehearsal
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".server-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the rehearsal's session: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Close())
	giveToSudoUser(f.Name())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("writing the rehearsal's session: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// makeStateDir creates the folder and its parents. New folders belong to the user who
// called sudo, if any.
func makeStateDir(dir string) error {
	var made []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // its private files have the mode 0600
		return fmt.Errorf("creating the rehearsal's state folder: %w", err)
	}
	for _, d := range made {
		giveToSudoUser(d)
	}
	return nil
}

// owners contains the processes with which a server stops.
type owners struct {
	ctx     context.Context
	stop    context.CancelFunc
	unowned bool // runs without owners

	mu    sync.Mutex
	alive map[int]bool
}

func newOwners(ctx context.Context, stop context.CancelFunc, unowned bool) *owners {
	return &owners{ctx: ctx, stop: stop, unowned: unowned, alive: map[int]bool{}}
}

// add keeps the server running until the process ends.
func (o *owners) add(pid int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unowned || o.alive[pid] {
		return nil
	}
	if o.ctx.Err() != nil {
		return errors.New("the rehearsal is stopping")
	}
	gone, err := watchProcess(o.ctx, pid)
	if err != nil {
		return fmt.Errorf("the rehearsal's owner, process %d: %w", pid, err)
	}
	o.alive[pid] = true
	go func() {
		<-gone
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.alive, pid)
		if len(o.alive) == 0 {
			o.stop()
		}
	}()
	return nil
}
