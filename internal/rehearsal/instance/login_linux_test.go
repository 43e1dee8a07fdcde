// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"net"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// Only the login user's keys can log in. The machine reads its authorized_keys at each
// login.
func TestLogin(t *testing.T) {
	s := newSite(t)
	g := s.start()
	for name, try := range map[string]func() (*gossh.Client, error){
		"wrong key":  func() (*gossh.Client, error) { return g.dial("ubuntu", newKey(t)) },
		"other user": func() (*gossh.Client, error) { return g.dial("daemon", g.signer) },
	} {
		if c, err := try(); err == nil {
			_ = c.Close()
			t.Errorf("%s: login succeeded", name)
		} else if !strings.Contains(err.Error(), "unable to authenticate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := g.client()
	root, err := g.dial("root", g.signer)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := root.NewSession(); err != nil {
		t.Error(err)
	} else if out, _ := s.CombinedOutput("true"); !strings.Contains(string(out), `Please login as the user "ubuntu"`) {
		t.Errorf("root: got %q", out)
	}
	g.run("rm ~/.ssh/authorized_keys")
	if c, err := g.dial("ubuntu", g.signer); err == nil {
		_ = c.Close()
		t.Error("login succeeded after the keys were removed")
	}
	if s, err := c.NewSession(); err != nil {
		t.Errorf("an existing connection ended: %v", err)
	} else if err := s.Run("true"); err != nil {
		t.Error(err)
	}
}

// Two machines share only the port.
func TestTwoMachines(t *testing.T) {
	s := newSite(t)
	a, b := s.start(), s.start()
	a.run("echo a | sudo tee /etc/who; sleep 300 >/dev/null 2>&1 </dev/null &")
	if o := b.try("cat /etc/who", ""); o.status == 0 {
		t.Errorf("machine b reads a file of a: %s", o.stdout)
	}
	if o := b.try("pgrep sleep", ""); o.status == 0 {
		t.Error("machine b sees processes of a")
	}
	for _, f := range []string{"hostname", "cat /etc/machine-id"} {
		if x, y := a.run(f), b.run(f); x == y || x == "" {
			t.Errorf("%s: equal on both machines: %q and %q", f, x, y)
		}
	}
	if key(t, a) == key(t, b) {
		t.Error("both machines have the same host key")
	}
}

// key returns the machine's host key.
func key(t *testing.T, g *guest) string {
	t.Helper()
	var seen gossh.PublicKey
	c, err := gossh.Dial("tcp", g.address(), &gossh.ClientConfig{
		User: g.spec.User,
		Auth: []gossh.AuthMethod{gossh.PublicKeys(g.signer)},
		HostKeyCallback: func(_ string, _ net.Addr, k gossh.PublicKey) error {
			seen = k
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	return string(seen.Marshal())
}

// The program receives a client's signal.
func TestSignal(t *testing.T) {
	g := newSite(t).start()
	s, err := g.client().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("trap 'exit 42' USR1; echo ready; while :; do sleep 0.01; done"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(gossh.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	var exit *gossh.ExitError
	if err := s.Wait(); !asExit(err, &exit) || exit.ExitStatus() != 42 {
		t.Errorf("got %v, want exit status 42", err)
	}
}

// A session with a terminal has the size that the client requests.
func TestTerminal(t *testing.T) {
	g := newSite(t).start()
	s, err := g.client().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestPty("vt100", 33, 77, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Setenv("LC_ALL", "C"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s.Stdout = &out
	err = s.Run("test -t 0 && stty size && echo $TERM $LC_ALL && tty && exit 5")
	var exit *gossh.ExitError
	if !asExit(err, &exit) || exit.ExitStatus() != 5 {
		t.Errorf("got %v, want exit status 5", err)
	}
	if want := "33 77\r\nvt100 C\r\n/dev/pts/0\r\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// A session without a command runs a login shell that reads its input.
func TestShell(t *testing.T) {
	g := newSite(t).start()
	s, err := g.client().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s.Stdout, s.Stdin = &out, strings.NewReader("shopt -q login_shell && echo login\nexit 4\n")
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	var exit *gossh.ExitError
	if err := s.Wait(); !asExit(err, &exit) || exit.ExitStatus() != 4 {
		t.Errorf("got %v, want exit status 4", err)
	}
	if !strings.Contains(out.String(), "login\n") {
		t.Errorf("got %q", out.String())
	}
}
