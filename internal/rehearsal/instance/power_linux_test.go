// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	"strings"
	"testing"
	"time"
)

// waitFor waits up to 20 s for a condition, or fails the test.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out after a minute waiting for: %s", what)
		}
	}
}

const bootID = "cat /proc/sys/kernel/random/boot_id"

// A reboot, from outside or inside, drops connections and keeps files.
func TestReboot(t *testing.T) {
	s := newSite(t)
	for name, reboot := range map[string]func(t *testing.T, g *guest){
		"from outside": func(t *testing.T, g *guest) {
			if err := g.Reboot(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"reboot":          func(_ *testing.T, g *guest) { g.halt("sudo reboot") },
		"shutdown -r now": func(_ *testing.T, g *guest) { g.halt("sudo shutdown -r now") },
	} {
		t.Run(name, func(t *testing.T) {
			g := s.start()
			g.run("echo kept | sudo tee /usr/local/bin/kept; echo lost >/tmp/lost; sleep 1000 >/dev/null 2>&1 </dev/null &")
			before, boot := g.run("cat /etc/machine-id; ls -i /proc/1/exe 2>/dev/null; true"), g.run(bootID)
			open := g.client()
			dropped := make(chan struct{})
			go func() {
				_ = open.Wait() // the error does not matter
				close(dropped)
			}()
			reboot(t, g)
			select {
			case <-dropped:
			case <-time.After(time.Minute):
				t.Fatal("the connection was not dropped")
			}
			waitFor(t, "login after the reboot", func() bool { // sshd still accepts while systemd stops others
				c, err := g.dial(g.spec.User, g.signer)
				if err != nil {
					return false
				}
				defer func() { _ = c.Close() }()
				s, err := c.NewSession()
				if err != nil {
					return false
				}
				now, err := s.Output(bootID)
				return err == nil && strings.TrimSpace(string(now)) != boot
			})
			if got := g.run("cat /usr/local/bin/kept; test ! -e /tmp/lost && ! pgrep sleep"); got != "kept" {
				t.Errorf("got %q", got)
			}
			if after := g.run("cat /etc/machine-id; ls -i /proc/1/exe 2>/dev/null; true"); after != before {
				t.Errorf("machine id changed from %s to %s", before, after)
			}
			select {
			case <-g.Off():
				t.Error("Off fired for a reboot")
			default:
			}
		})
	}
}

// A machine that powers itself off signals Off, and can boot again.
func TestPoweroff(t *testing.T) {
	g := newSite(t).start()
	for _, command := range []string{"sudo poweroff", "sudo shutdown -h now", "sudo systemctl poweroff"} {
		off := g.Off()
		g.run("echo " + command + " >mark")
		g.halt(command)
		select {
		case <-off:
		case <-time.After(time.Minute):
			t.Fatalf("%s: the machine is not off", command)
		}
		if _, err := g.dial(g.spec.User, g.signer); err == nil {
			t.Fatalf("%s: the machine still accepts connections", command)
		}
		if err := g.Boot(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := g.run("cat mark"); got != command {
			t.Errorf("file content: got %q, want %q", got, command)
		}
	}
	g.run("sudo shutdown -h +60 && sudo shutdown -c")
	if o := g.try("poweroff", ""); o.status == 0 {
		t.Error("a user without root powered the machine off")
	}
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.Off():
		t.Error("Off fired for Stop")
	default:
	}
	if err := g.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.run("true")
	if err := g.Terminate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(context.Context) error{"Stop": g.Stop, "Boot": g.Boot, "Reboot": g.Reboot, "Terminate": g.Terminate} {
		if f(t.Context()) == nil {
			t.Errorf("%s after Terminate: no error", name)
		}
	}
}

// A user data script runs once, as root.
func TestUserData(t *testing.T) {
	g := newSite(t).start(func(s *Spec) {
		s.UserData = []byte("#!/bin/sh\nid -u >>/var/lib/ran\necho said\n")
	})
	waitFor(t, "user data", func() bool { return g.try("cat /var/lib/ran", "").stdout == "0\n" })
	if got := g.run("sudo cat /var/log/cloud-init-output.log"); !strings.Contains(got, "\nsaid\n") {
		t.Errorf("got log %q", got)
	}
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := g.run("sudo cloud-init status --wait >/dev/null; cat /var/lib/ran"); got != "0" {
		t.Errorf("the script ran again: %q", got)
	}
}
