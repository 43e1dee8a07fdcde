//go:build !windows

// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestUpdateKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root: only root gives files to others")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12, 34); err != nil {
		t.Fatal(err)
	}
	if _, err := Update(context.Background(), path, func([]byte) ([]byte, error) { return []byte("y"), nil }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 12 || s.Gid != 34 {
		t.Errorf("owner %d:%d, want 12:34", s.Uid, s.Gid)
	}
}
