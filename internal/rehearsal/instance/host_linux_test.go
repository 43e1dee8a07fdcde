// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	requireSandbox(t)
	if err := Check(); err != nil {
		t.Fatal(err)
	}
}

// An overlay of / does not contain mounts below it.
func TestCheckMounts(t *testing.T) {
	for name, c := range map[string]struct {
		mounts, want string
	}{
		"plain host":     {"22 27 0:21 / / rw - ext4 /dev/a rw\n23 22 0:22 / /home rw - ext4 /dev/b rw\n24 22 0:5 / /var/log rw - ext4 /dev/c rw\n", ""},
		"container":      {"22 27 0:21 / / rw - overlay overlay rw\n23 22 0:22 / /etc/hosts rw - ext4 /dev/b rw\n", ""},
		"/usr elsewhere": {"22 27 0:21 / / rw - ext4 /dev/a rw\n23 22 0:22 / /usr ro - ext4 /dev/b ro\n", "/usr is a separate mount"},
		"/var elsewhere": {"22 27 0:21 / / rw - ext4 /dev/a rw\n23 22 0:22 /@var /var rw shared:3 - btrfs /dev/b rw\n", "/var is a separate mount"},
	} {
		file := filepath.Join(t.TempDir(), "mountinfo")
		if err := os.WriteFile(file, []byte(c.mounts), 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkMounts(file)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// Closing a host also ends machines that are starting. Later starts fail.
func TestCloseWhileStarting(t *testing.T) {
	requireSandbox(t)
	dir := t.TempDir()
	h, err := NewHost(dir, HostBase)
	if err != nil {
		t.Fatal(err)
	}
	var starts sync.WaitGroup
	key := newKey(t)
	for i := range 6 {
		starts.Go(func() {
			_, _ = h.Start(context.Background(), Spec{ // may run before or after Close
				ID: fmt.Sprintf("i-%d", i), User: "ubuntu", Address: fmt.Sprintf("127.77.8.%d", i+1), AuthorizedKeys: key.PublicKey().Marshal(),
			})
		})
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	starts.Wait()
	if _, err := h.Start(t.Context(), Spec{ID: "i-9", User: "ubuntu", Address: "127.77.8.9"}); err == nil {
		t.Error("a machine started on a closed host")
	}
	if err := h.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if left := mountsOf(t, dir); len(left) > 0 {
		t.Errorf("mounts left: %v", left)
	}
}

// A cancelled start returns immediately and leaves nothing behind. An instance can
// terminate while it boots.
func TestStartCancelled(t *testing.T) {
	requireSandbox(t)
	dir := t.TempDir()
	h, err := NewHost(dir, HostBase)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		if i == 0 {
			cancel() // before the start
		} else {
			time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
		}
		done := make(chan error, 1)
		go func() {
			m, err := h.Start(ctx, Spec{ID: fmt.Sprintf("i-%d", i), User: "ubuntu", Address: fmt.Sprintf("127.77.8.%d", i+1)})
			if err == nil {
				err = m.Terminate(context.Background())
			}
			done <- err
		}()
		select {
		case err := <-done: // with or without an error
			t.Logf("the start returned %v", err)
		case <-time.After(30 * time.Second):
			t.Fatal("the start did not return")
		}
		cancel()
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if left := mountsOf(t, dir); len(left) > 0 {
		t.Errorf("mounts left: %v", left)
	}
}

// BenchmarkLifecycle measures a machine from Start through one command to its end.
func BenchmarkLifecycle(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("SKIPPED: requires root")
	}
	h, err := NewHost(b.TempDir(), HostBase)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	for b.Loop() {
		m, err := h.Start(b.Context(), Spec{ID: "i-1", User: "ubuntu", Address: "127.77.8.1"})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Terminate(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// An address is available immediately after its machine has ended.
func TestAddressIsFreed(t *testing.T) {
	s := newSite(t)
	for range 5 {
		m, err := s.host.Start(t.Context(), Spec{ID: "i-1", User: "ubuntu", Address: "127.77.8.2"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A machine of a distribution contains nothing of the host.
func TestDistribution(t *testing.T) {
	requireSandbox(t)
	dir := t.TempDir()
	h, err := NewHost(dir, "debian:13")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	s := &site{t, h, dir}
	g := s.start()
	if got := g.run(". /etc/os-release && echo $VERSION_CODENAME"); got != "trixie" {
		t.Errorf("got %q, want trixie", got)
	}
	if out := g.try("sudo cloud-init status --wait", ""); out.status != 0 {
		t.Errorf("cloud-init: %s%s\n%s", out.stdout, out.stderr, g.run("cloud-init status --long; true"))
	}
	if got := g.try("systemctl is-system-running --wait", ""); got.stdout != "running\n" {
		t.Errorf("got %q, want running\n%s", got.stdout, g.run("systemctl --failed"))
	}
	if err := g.Capture(t.Context(), "image"); err != nil {
		t.Fatal(err)
	}
	s.start(func(s *Spec) { s.Layer = "image" }).run("true")
}

// An unknown base is refused with those that exist.
func TestCheckBase(t *testing.T) {
	for base, want := range map[string]string{"": "", HostBase: "", "debian:12": "", "debian": `got "debian", want host or one of debian:12, debian:13, ubuntu:22.04, ubuntu:24.04`} {
		got := ""
		if err := CheckBase(base); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", base, got, want)
		}
	}
}
