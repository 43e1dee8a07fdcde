// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// lostError is the error of a request that the connection did not carry.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

// broken matches the errors of a broken connection. Packer's communicator runs in
// another process, which passes on only the text of an error.
var broken = lazyregexp.New(`(?i)EOF|closed|connection reset|broken pipe|timed? ?out|no route to host|unreachable|connection refused|handshake failed|client not available`)

// Lost reports whether an error of Run, Upload or New means that the connection to the
// instance was lost.
func Lost(err error) bool {
	var failed *ScriptError
	var lost *lostError
	return errors.As(err, &failed) && failed.Lost || errors.As(err, &lost)
}

// connectPoll is the interval of the attempts to reach the instance after a reboot or a
// lost connection, connectBound the limit of one.
const (
	connectPoll  = 2 * time.Second
	connectBound = 30 * time.Second
)

// pause waits between two attempts. It returns late after the deadline, and ctx's cause
// if that ends.
func pause(ctx context.Context, d time.Duration, deadline *time.Timer, late error) error {
	select {
	case <-time.After(d):
		return nil
	case <-deadline.C:
		return late
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reconnect waits for at most patience until the instance responds again after a lost
// connection. Packer's communicator connects again at the next command.
func (m *Machine) Reconnect(ctx context.Context, patience time.Duration) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		err := m.tryConnect(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if strings.Contains(err.Error(), "unable to authenticate") {
			return fmt.Errorf("the instance no longer accepts the login: %w", err)
		}
		if err := pause(ctx, connectPoll, deadline, fmt.Errorf("the instance does not respond for %s: %w", patience, err)); err != nil {
			return err
		}
	}
}

func (m *Machine) tryConnect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	return m.connect(ctx)
}
