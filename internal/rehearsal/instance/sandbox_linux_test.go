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
)

func TestCheck(t *testing.T) {
	needSandbox(t)
	if err := Check(); err != nil {
		t.Fatal(err)
	}
}

// An overlay of / lacks what is mounted below it.
func TestOneFileSystem(t *testing.T) {
	for name, c := range map[string]struct {
		mounts, want string
	}{
		"a plain host":   {"22 27 0:21 / / rw - ext4 /dev/a rw\n23 22 0:22 / /home rw - ext4 /dev/b rw\n24 22 0:5 / /var/log rw - ext4 /dev/c rw\n", ""},
		"a container":    {"22 27 0:21 / / rw - overlay overlay rw\n23 22 0:22 / /etc/hosts rw - ext4 /dev/b rw\n", ""},
		"/usr elsewhere": {"22 27 0:21 / / rw - ext4 /dev/a rw\n23 22 0:22 / /usr ro - ext4 /dev/b ro\n", "/usr is a mount of its own"},
		"/var elsewhere": {"22 27 0:21 / / rw - ext4 /dev/a rw\n23 22 0:22 /@var /var rw shared:3 - btrfs /dev/b rw\n", "/var is a mount of its own"},
	} {
		file := filepath.Join(t.TempDir(), "mountinfo")
		if err := os.WriteFile(file, []byte(c.mounts), 0o600); err != nil {
			t.Fatal(err)
		}
		err := oneFileSystem(file)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// Closing a host ends also what is being started, and what comes later fails.
func TestCloseWhileStarting(t *testing.T) {
	needSandbox(t)
	dir := t.TempDir()
	h, err := NewHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	var starts sync.WaitGroup
	key := newKey(t)
	for i := range 6 {
		starts.Go(func() {
			_, _ = h.Start(context.Background(), Spec{ // it may come before or after
				ID: fmt.Sprintf("i-%d", i), User: "ubuntu", Address: fmt.Sprintf("127.77.8.%d", i+1), AuthorizedKeys: key.PublicKey().Marshal(),
			})
		})
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	starts.Wait()
	if _, err := h.Start(t.Context(), Spec{ID: "i-9", User: "ubuntu", Address: "127.77.8.9"}); err == nil {
		t.Error("started on a closed host")
	}
	if err := h.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if left := mountsOf(t, dir); len(left) > 0 {
		t.Errorf("mounts are left: %v", left)
	}
}

// BenchmarkLife is what a machine costs: from Start to the answer to a
// command, and its end.
func BenchmarkLife(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("SKIPPED: needs root")
	}
	h, err := NewHost(b.TempDir())
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

// An address is free again as soon as its machine has ended, however soon.
func TestAddressIsFreed(t *testing.T) {
	s := newSite(t)
	for range 20 {
		m, err := s.host.Start(t.Context(), Spec{ID: "i-1", User: "ubuntu", Address: "127.77.8.2"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
