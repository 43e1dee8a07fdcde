// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts an empty file system of 64 KiB.
func mount(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to mount a file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("SKIPPED: cannot mount a file system: " + err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// check updates the file and tries to write it; both must fail with the text, and change
// nothing.
func check(t *testing.T, path, text string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	grown := bytes.Repeat([]byte{'x'}, 48<<10)
	_, err = Update(t.Context(), path, func([]byte) ([]byte, error) { return grown, nil })
	for name, err := range map[string]error{"Update": err, "Try": Try(path, len(grown))} {
		if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", name, err, text)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
	if after, _ := os.ReadDir(filepath.Dir(path)); len(after) != len(files) {
		t.Errorf("files are left: %v", after)
	}
}

func TestFull(t *testing.T) {
	dir := mount(t)
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, bytes.Repeat([]byte{'o'}, 32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Try(path, 16<<10); err != nil {
		t.Error(err)
	}
	check(t, path, "no space left on device; the file is replaced in one step by a new one in its folder: free space on the file system of "+dir)
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mount(t)
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	check(t, path, "read-only file system; ")
	for _, path := range []string{path, filepath.Join(dir, "new"), filepath.Join(dir, "a", "b", "new")} {
		err := Writable(path)
		if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), path+" cannot be written: read-only file system; ") {
			t.Errorf("Writable(%s) = %v", path, err)
		}
	}
}
