//go:build !windows

// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// TestOtherUsers checks what a non-root user may do with files of others. A write
// succeeds if a plain write does, and keeps the owner, group and mode as far as
// permitted.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to be several users")
	}
	const user, group, member, foreign = 4001, 4001, 4002, 4003
	exe := publicCopy(t)
	for _, tt := range []struct {
		why              string
		uid, gid         uint32 // of the file
		mode, folder     fs.FileMode
		err              string // part; empty: written
		wantUID, wantGID uint32
		wantMode         fs.FileMode
		plain            bool // a plain write works too
	}{
		{why: "of this user", uid: user, gid: group, mode: 0o640, plain: true, wantUID: user, wantGID: group, wantMode: 0o640},
		{why: "of a group that this user is in: kept", uid: user, gid: member, mode: 0o664, plain: true, wantUID: user, wantGID: member, wantMode: 0o664},
		{why: "of a foreign group: the new one gets no right of it", uid: user, gid: foreign, mode: 0o660, plain: true, wantUID: user, wantGID: group, wantMode: 0o600},
		{why: "of a foreign group, and for all to read", uid: user, gid: foreign, mode: 0o664, plain: true, wantUID: user, wantGID: group, wantMode: 0o644},
		{why: "of another user, writable by a group that this user is in", uid: 0, gid: member, mode: 0o664, plain: true, wantUID: user, wantGID: member, wantMode: 0o664},
		{why: "of another user, for all to write", uid: 0, gid: 0, mode: 0o666, plain: true, wantUID: user, wantGID: group, wantMode: 0o666},
		{why: "of another user, for all to read only", uid: 0, gid: 0, mode: 0o644, err: "f cannot be written: permission denied; grant"},
		{why: "read-only", uid: user, gid: group, mode: 0o444, err: "f is read-only (mode 0444); run chmod u+w"},
		{why: "not to be read", uid: 0, gid: 0, mode: 0o600, err: "f exists but cannot be read: permission denied"},
		{why: "in a folder that cannot be written", uid: user, gid: group, mode: 0o644, folder: 0o755, err: "the file is replaced in one step"},
		{why: "in a folder that cannot be entered", uid: user, gid: group, mode: 0o644, folder: 0o700, err: "a folder of this path cannot be searched: permission denied"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			folder := tt.folder
			if folder == 0 {
				folder = 0o777
			}
			dir := publicDir(t)
			path := filepath.Join(dir, "f")
			err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chown(path, int(tt.uid), int(tt.gid)), os.Chmod(path, tt.mode), os.Chmod(dir, folder))
			if err != nil {
				t.Fatal(err)
			}
			as := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: group, Groups: []uint32{member}}}
			cmd := exec.Command(exe)
			cmd.Env, cmd.Dir, cmd.SysProcAttr = append(os.Environ(), userEnv+"="+path), "/", as
			out, err := cmd.CombinedOutput()
			if err != nil || tt.err == "" && len(out) > 0 || !strings.Contains(string(out), tt.err) {
				t.Fatalf("%v: %s\nwant %q", err, out, tt.err)
			}
			want := "xy"
			if tt.err != "" {
				want, tt.wantUID, tt.wantGID, tt.wantMode = "x", tt.uid, tt.gid, tt.mode
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			s := info.Sys().(*syscall.Stat_t)
			if b, _ := os.ReadFile(path); string(b) != want || s.Uid != tt.wantUID || s.Gid != tt.wantGID || info.Mode().Perm() != tt.wantMode {
				t.Errorf("%q of %d:%d, mode %o; want %q of %d:%d, mode %o", b, s.Uid, s.Gid, info.Mode().Perm(), want, tt.wantUID, tt.wantGID, tt.wantMode)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("files are left: %v", left)
			}
			if !tt.plain {
				return
			}
			if err := errors.Join(os.Chown(path, int(tt.uid), int(tt.gid)), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			cmd = exec.Command("sh", "-c", `printf z >"$0"`, path)
			cmd.Dir, cmd.SysProcAttr = "/", as
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("got a failing plain write, which makes this row meaningless: %s", out)
			}
		})
	}
}

// publicDir is a temporary folder that every user may enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// publicCopy is a copy of the test binary that every user may run.
func publicCopy(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	path := filepath.Join(publicDir(t), "user")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Chmod(0o755), to.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}
