// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package remote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
)

func TestPackFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"CMakeLists.txt", "src/main.cpp", "src/two words.h", "cmake/x.cmake",
		".git/HEAD", "sub/.git", // a submodule's .git is a file
		"build/CMakeCache.txt", "build/ethminer", "CMakeCache.txt", "CMakeFiles/x.o",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("main.cpp", filepath.Join(dir, "src", "link.cpp")); err != nil {
		t.Fatal(err)
	}
	// Not read: a file that a link names, sockets, pipes.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "src", "secret")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "src", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "cmake/x.cmake"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}

	var packed bytes.Buffer
	if err := packFolder(t.Context(), &packed, link); err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Uname != "" {
			t.Errorf("%s: got an owner, want none", header.Name)
		}
		if header.Name == "cmake/x.cmake" && header.Mode != 0o755 {
			t.Errorf("got a script with the mode %o, want 755", header.Mode)
		}
		if header.Typeflag != tar.TypeDir {
			got[header.Name] = string(content) + header.Linkname
		}
	}
	want := map[string]string{
		"CMakeLists.txt": "CMakeLists.txt", "src/main.cpp": "src/main.cpp", "src/two words.h": "src/two words.h",
		"cmake/x.cmake": "cmake/x.cmake", "src/link.cpp": "main.cpp",
		"src/secret": secret,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got files %v", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := packFolder(ctx, io.Discard, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: got error %v", err)
	}
}
