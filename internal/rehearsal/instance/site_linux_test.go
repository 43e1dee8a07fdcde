// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// requireSandbox skips tests that require a running machine, if the host does not support
// it.
func requireSandbox(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: requires root: a machine is an overlay of the root file system")
	}
}

// site is a host and its settings for tests.
type site struct {
	t    *testing.T
	host Host
	dir  string // where its files are mounted, for its machines only
}

func newSite(t *testing.T) *site {
	t.Helper()
	requireSandbox(t)
	dir := t.TempDir()
	h, err := NewHost(dir, HostBase)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("closing the host: %v", err)
		}
	})
	return &site{t, h, dir}
}

// guest is a started machine and its login key.
type guest struct {
	Machine
	t      *testing.T
	spec   Spec
	port   int
	signer gossh.Signer
}

var lastAddress atomic.Int32

func newKey(t *testing.T) gossh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start boots a machine; change can modify its spec.
func (s *site) start(change ...func(*Spec)) *guest {
	s.t.Helper()
	key := newKey(s.t)
	n := lastAddress.Add(1)
	spec := Spec{
		ID:             fmt.Sprintf("i-%017x", n),
		User:           "ubuntu",
		AuthorizedKeys: gossh.MarshalAuthorizedKey(key.PublicKey()),
		Address:        fmt.Sprintf("127.77.9.%d", n),
	}
	for _, c := range change {
		c(&spec)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	m, err := s.host.Start(ctx, spec)
	if err != nil {
		s.t.Fatal(err)
	}
	return &guest{m, s.t, spec, s.host.Port(), key}
}

func (g *guest) address() string { return net.JoinHostPort(g.spec.Address, strconv.Itoa(g.port)) }

func asExit(err error, exit **gossh.ExitError) bool { return errors.As(err, exit) }

// dial logs in with a key.
func (g *guest) dial(user string, key gossh.Signer) (*gossh.Client, error) {
	return gossh.Dial("tcp", g.address(), &gossh.ClientConfig{
		User:            user,
		Auth:            []gossh.AuthMethod{gossh.PublicKeys(key)},
		HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		Timeout:         10 * time.Second,
	})
}

// client returns a connection that the test closes.
func (g *guest) client() *gossh.Client {
	g.t.Helper()
	c, err := g.dial(g.spec.User, g.signer)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

// outcome is the result of a command.
type outcome struct {
	stdout, stderr string
	status         int
	signal         string
}

// try runs a command with an input.
func (g *guest) try(command, input string) outcome {
	g.t.Helper()
	c := g.client()
	defer func() { _ = c.Close() }()
	s, err := c.NewSession()
	if err != nil {
		g.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	s.Stdout, s.Stderr, s.Stdin = &out, &errs, strings.NewReader(input)
	err = s.Run(command)
	o := outcome{stdout: out.String(), stderr: errs.String()}
	var exit *gossh.ExitError
	switch {
	case errors.As(err, &exit):
		o.status, o.signal = exit.ExitStatus(), exit.Signal()
	case err != nil:
		g.t.Fatalf("%s: %v", command, err)
	}
	return o
}

// halt runs a command that powers the machine off. The command or its connection can
// end before its status arrives.
func (g *guest) halt(command string) {
	g.t.Helper()
	c := g.client()
	defer func() { _ = c.Close() }()
	s, err := c.NewSession()
	if err != nil {
		g.t.Fatal(err)
	}
	var exit *gossh.ExitError
	var missing *gossh.ExitMissingError
	if err := s.Run(command); err != nil && !errors.As(err, &missing) && !errors.As(err, &exit) {
		g.t.Fatalf("%s: %v", command, err)
	}
}

// run runs a command that must succeed and returns its output.
func (g *guest) run(command string) string {
	g.t.Helper()
	o := g.try(command, "")
	if o.status != 0 {
		g.t.Fatalf("%s: exit status %d\n%s%s", command, o.status, o.stdout, o.stderr)
	}
	return strings.TrimSuffix(o.stdout, "\n")
}
