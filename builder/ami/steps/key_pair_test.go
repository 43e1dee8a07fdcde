// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package steps

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSaveKey: only the user can read a saved key, also in place of another file, and a
// link does not lead it elsewhere.
func TestSaveKey(t *testing.T) {
	for name, before := range map[string]func(file, other string) error{
		"no file":     func(string, string) error { return nil },
		"an old file": func(file, _ string) error { return os.WriteFile(file, []byte("an old key, which is longer"), 0o644) },
		"a link":      func(file, other string) error { return os.Symlink(other, file) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, other := filepath.Join(dir, "key.pem"), filepath.Join(dir, "other")
			if err := os.WriteFile(other, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := before(file, other); err != nil {
				t.Fatal(err)
			}
			if err := saveKey(file, []byte("the key")); err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(file)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != 0o600 {
				t.Errorf("got the mode %v, want 0600", info.Mode())
			}
			for name, want := range map[string]string{file: "the key", other: ""} {
				if got, err := os.ReadFile(name); err != nil || string(got) != want {
					t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
				}
			}
		})
	}
}
