// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// processes returns the host's processes, including those of machines, whose command
// line contains the mark.
func processes(t *testing.T, mark string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), mark) {
			found = append(found, f)
		}
	}
	return found
}

// mountsOf returns the mounts below dir in any namespace.
func mountsOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/task/*/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, dir) {
				found = append(found, f+": "+line)
			}
		}
	}
	return found
}

// mark returns a unique argument for sleep.
func mark(n int) string { return fmt.Sprintf("86%d.%d", n, os.Getpid()) }

// A machine or host leaves nothing behind, regardless of how it ends.
func TestCleanUp(t *testing.T) {
	requireSandbox(t)
	for i, c := range []struct {
		name string
		end  func(t *testing.T, g *guest, h Host)
	}{
		{"Terminate", func(t *testing.T, g *guest, _ Host) {
			if err := g.Terminate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		{"Stop", func(t *testing.T, g *guest, _ Host) {
			if err := g.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		{"Close", func(t *testing.T, _ *guest, h Host) {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			g := s.start()
			m := mark(i)
			// A process that ignores SIGTERM, SIGHUP and SIGINT in its own session.
			g.run("setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep " + m + "; done' >/dev/null 2>&1 </dev/null & sudo setsid sleep " + m + " >/dev/null 2>&1 </dev/null &")
			waitFor(t, "processes started", func() bool { return len(processes(t, m)) >= 3 })
			if now, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(now), s.dir) {
				t.Errorf("a mount is visible on the host, or none can be read (%v):\n%s", err, now)
			}
			c.end(t, g, s.host)
			if left := processes(t, m); len(left) > 0 {
				t.Errorf("processes left: %v", left)
			}
			if c.name == "Close" {
				dir := filepath.Dir(s.host.(*host).dir)
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
					t.Errorf("%v left in %s (%v)", left, dir, err)
				}
				if left := mountsOf(t, dir); len(left) > 0 {
					t.Errorf("mounts left: %v", left)
				}
			}
		})
	}
}

// serverVariable makes the test binary run as a server with one machine, which a test
// kills.
const serverVariable = "REHEARSAL_TEST_SERVER"

// TestServer runs that server; without the variable it does nothing.
func TestServer(t *testing.T) {
	dir := os.Getenv(serverVariable)
	if dir == "" {
		return
	}
	h, err := NewHost(dir, HostBase)
	if err != nil {
		t.Fatal(err)
	}
	g := (&site{t, h, dir}).start(func(s *Spec) { s.Address = "127.77.9.240" })
	g.run("sleep " + os.Getenv("REHEARSAL_TEST_MARK") + " >/dev/null 2>&1 </dev/null & sudo setsid sleep " + os.Getenv("REHEARSAL_TEST_MARK") + " >/dev/null 2>&1 </dev/null &")
	g.run("pgrep sleep")
	fmt.Println("up")
	select {}
}

// Killing a server ends its processes and mounts.
func TestKilledServer(t *testing.T) {
	requireSandbox(t)
	dir := t.TempDir()
	m := mark(9)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestServer$", "-test.v")
	cmd.Env = append(os.Environ(), serverVariable+"="+dir, "REHEARSAL_TEST_MARK="+m)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "up" {
	}
	if lines.Text() != "up" {
		_ = cmd.Wait()
		t.Fatal("the server did not start")
	}
	waitFor(t, "processes started", func() bool { return len(processes(t, m)) >= 2 })
	if len(mountsOf(t, dir)) == 0 {
		t.Error("no mount before the kill")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the error is the signal
	waitFor(t, "end of processes and mounts", func() bool { return len(processes(t, m)) == 0 && len(mountsOf(t, dir)) == 0 })
}
