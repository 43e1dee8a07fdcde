// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package atomicfile changes a file so that whoever looks sees the old content
// or the new, never a part, and so that writers of one file take turns.
package atomicfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lockWait is how often a held lock is tried again.
const lockWait = 20 * time.Millisecond

// Update reads the file at path, hands its content to change, and writes what
// change returns, if that differs. It holds the file's lock all the while, so
// that of several updates none is lost. A path that does not exist is handed
// over as nil and created with mode 0644. A symlink is followed, and stays.
//
// It returns whether it wrote. The lock is a file beside the target, named
// .NAME.lock, which goes with its holder where the system can delete an open
// file (all but Windows).
func Update(ctx context.Context, path string, change func(old []byte) ([]byte, error)) (wrote bool, err error) {
	target, err := Resolve(path)
	if err != nil {
		return false, err
	}
	unlock, err := lock(ctx, target)
	if err != nil {
		return false, err
	}
	defer unlock()
	old, err := os.ReadFile(target)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	updated, err := change(old)
	if err != nil {
		return false, err
	}
	if exists && bytes.Equal(old, updated) {
		return false, nil
	}
	if err := write(target, updated); err != nil {
		return false, fmt.Errorf("writing %s: %w", path, err)
	}
	return true, nil
}

// Resolve follows the symlinks of path to the file that they name, which need
// not exist, nor its folder.
func Resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range 40 {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if errors.Is(err, fs.ErrNotExist) {
				return path, nil // its folder is still to come
			} else if err != nil {
				return "", err
			}
			return filepath.Join(dir, filepath.Base(path)), nil
		} else if err != nil {
			return "", err
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many symlinks", path)
}

// Same says whether two paths name one file, by symlink or hard link; of files
// that do not exist, whether the resolved paths are equal.
func Same(a, b string) (bool, error) {
	a, err := Resolve(a)
	if err != nil {
		return false, err
	}
	if b, err = Resolve(b); err != nil {
		return false, err
	}
	if a == b {
		return true, nil
	}
	ai, err := os.Stat(a)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	bi, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return os.SameFile(ai, bi), nil
}

// write replaces target: a temporary file in the same folder, to disk, then
// renamed, then the folder to disk.
func write(target string, content []byte) (err error) {
	mode := fs.FileMode(0o644)
	info, statErr := os.Stat(target)
	if statErr == nil {
		if !info.Mode().IsRegular() {
			return errors.New("not a regular file")
		}
		mode = info.Mode().Perm()
	}
	// A writer that was killed may have left its temporary file. We hold the
	// lock, so no other is in use.
	dir, prefix := filepath.Dir(target), "."+filepath.Base(target)+".tmp-"
	if err := removeStale(dir, prefix); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, prefix+"*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(tmp)
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if statErr == nil {
		// Before the mode: a change of owner clears some of its bits.
		if err = keepOwner(f, info); err != nil {
			return err
		}
	}
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(tmp, target); err != nil {
		return err
	}
	return syncDir(dir)
}

func removeStale(dir, prefix string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), prefix) {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// lock takes the lock of target and returns what gives it back.
func lock(ctx context.Context, target string) (func(), error) {
	path := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".lock")
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", target, err)
		}
		held, err := tryLock(f)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if held && names(path, f) {
			return func() {
				if deletesOpen {
					_ = os.Remove(path)
				}
				_ = f.Close()
			}, nil
		}
		_ = f.Close()
		if held {
			continue // its holder has deleted it: ours is no longer the lock
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s, which another writer holds: %w", path, ctx.Err())
		case <-time.After(lockWait):
		}
	}
}

// names says whether path is the file f still.
func names(path string, f *os.File) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := f.Stat()
	return err == nil && os.SameFile(a, b)
}
