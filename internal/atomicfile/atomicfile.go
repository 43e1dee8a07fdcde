// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package atomicfile updates files atomically: readers see either the old or the new
// content, and concurrent writers of a file are serialized.
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

// lockWait is the pause before a held lock is tried again. This package does not use
// internal/poll, which would link the AWS SDK.
const lockWait = 20 * time.Millisecond

// Update reads the file at path, passes its content to change, and writes the result
// if it differs. It holds the file's lock meanwhile, so that concurrent updates are
// not lost. If the file does not exist, change gets nil, and the file is created with
// mode 0644. Symlinks are followed and kept.
//
// A writer that ignores the lock, such as an editor, may save the file meanwhile. Then
// change is called again with the new content.
//
// It reports whether it wrote. The lock is a file named .NAME.lock beside the target,
// which the holder deletes if the system can delete an open file (all but Windows).
func Update(ctx context.Context, path string, change func(old []byte) ([]byte, error)) (wrote bool, err error) {
	target, err := Resolve(path)
	if err != nil {
		return false, err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return false, notRegular(path)
	}
	unlock, err := lock(ctx, target)
	if err != nil {
		return false, beside(target, err)
	}
	defer unlock()
	for try := 1; ; try++ {
		wrote, err := update(path, target, change)
		if errors.Is(err, errChanged) && try < changeTries {
			continue
		}
		return wrote, err
	}
}

// changeTries limits the calls of change for a file that others keep changing.
const changeTries = 10

var errChanged = errors.New("another program changed the file meanwhile")

// update is Update while it holds the lock. It returns errChanged if another program
// has changed the file since it was read.
func update(path, target string, change func(old []byte) ([]byte, error)) (wrote bool, err error) {
	old, err := os.ReadFile(target)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, explain(path, err)
	}
	updated, err := change(old)
	if err != nil {
		return false, err
	}
	if exists && bytes.Equal(old, updated) {
		return false, nil
	}
	if err := Writable(path); err != nil {
		return false, err
	}
	unchanged := func() error {
		now, err := os.ReadFile(target)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if (err == nil) != exists || !bytes.Equal(now, old) {
			return errChanged
		}
		return nil
	}
	if err := write(target, updated, unchanged); err != nil {
		return false, fmt.Errorf("writing %s: %w", path, beside(target, err))
	}
	return true, nil
}

// beside explains that the file is replaced by a new one in its folder, and what an
// error means for it.
func beside(target string, err error) error {
	dir := filepath.Dir(target)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; the file is replaced in one step by a new one in its folder: grant the current user write permission on %s, or write to a file elsewhere", err, dir)
	case isReadOnly(err):
		return fmt.Errorf("%w; the file is replaced in one step by a new one in its folder: mount the file system of %s writable, or write to a file elsewhere", err, dir)
	case isFull(err):
		return fmt.Errorf("%w; the file is replaced in one step by a new one in its folder: free space on the file system of %s, or write to a file elsewhere", err, dir)
	}
	return err
}

// Try checks that Update can write size bytes to the file at path: it writes as many
// to a temporary file in its folder, or in that folder's nearest existing parent.
func Try(path string, size int) error {
	if err := Writable(path); err != nil {
		return err
	}
	target, err := Resolve(path)
	if err != nil {
		return err
	}
	dir, err := existing(filepath.Dir(target))
	if err == nil {
		err = fill(dir, size)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, beside(filepath.Join(dir, "file"), err))
	}
	return nil
}

// existing returns the nearest folder that exists, from dir up.
func existing(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir, err
		}
		dir = filepath.Dir(dir)
	}
}

// fill writes a temporary file of size bytes, and removes it.
func fill(dir string, size int) (err error) {
	f, err := os.CreateTemp(dir, ".ethminer-check-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(bytes.Repeat([]byte{' '}, size)); err != nil {
		return err
	}
	return f.Sync() // some file systems allocate only now
}

// Read reads a file. Its error distinguishes a missing file, an unreadable file and
// a folder.
func Read(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return b, nil
	}
	return nil, explain(path, err)
}

// explain reports which part of a path caused an error.
func explain(path string, err error) error {
	cause := err
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		cause = p.Err
	}
	dir := filepath.Dir(path)
	switch info, statErr := os.Stat(path); {
	case statErr == nil && info.IsDir():
		return fmt.Errorf("%s is a folder; expected a file", path)
	case statErr == nil:
		return fmt.Errorf("%s exists but cannot be read: %w; grant the current user read permission", path, cause)
	case errors.Is(statErr, fs.ErrPermission):
		return fmt.Errorf("%s: a folder of this path cannot be searched: %w; grant the current user execute permission on it", path, cause)
	case errors.Is(statErr, fs.ErrNotExist):
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return missing(fmt.Sprintf("%s: no such file; its folder %s does not exist either", path, dir))
		}
		return missing(path + ": no such file")
	}
	return fmt.Errorf("%s: %w", path, cause)
}

// missing is the error of a file that does not exist.
type missing string

func (m missing) Error() string        { return string(m) }
func (m missing) Is(target error) bool { return target == fs.ErrNotExist }

// Writable checks, without writing, that Update can write the file at path, which
// need not exist, and neither does its folder. A read-only file is an error, although
// Update could replace it.
func Writable(path string) error {
	target, err := Resolve(path)
	if err != nil {
		return explain(path, err)
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writableFolder(path, target)
	case err != nil:
		return explain(path, err)
	case info.IsDir():
		return fmt.Errorf("%s is a folder; expected a file", path)
	case !info.Mode().IsRegular():
		return notRegular(path)
	case info.Mode().Perm()&0o222 == 0:
		return fmt.Errorf("%s is read-only (mode %04o); run %s, or write to another file", path, info.Mode().Perm(), makeWritable(path))
	}
	switch err := mayWrite(target); {
	case isReadOnly(err):
		return fmt.Errorf("%s cannot be written: %w; mount its file system writable, or write to another file", path, err)
	case err != nil:
		return fmt.Errorf("%s cannot be written: %w; grant the current user write permission, or write to another file", path, err)
	}
	return writableFolder(path, target)
}

// writableFolder checks that files can be created in the folder of target or, if it
// does not exist, in its nearest existing parent.
func writableFolder(path, target string) error {
	dir, err := existing(filepath.Dir(target))
	if err == nil {
		err = mayWrite(dir)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, beside(filepath.Join(dir, "file"), err))
	}
	return nil
}

func notRegular(path string) error {
	return fmt.Errorf("%s is a pipe or a device, which cannot be replaced; expected a file", path)
}

// Resolve follows the symlinks of path. Neither the file nor its folder needs to
// exist.
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
				return path, nil // its folder does not exist yet
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

// Same reports whether two paths are the same file, also by symlink or hard link. For
// files that do not exist, it compares the resolved paths.
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

// write replaces target: it writes and syncs a temporary file in the same folder,
// renames it, and syncs the folder. It calls last just before the rename.
func write(target string, content []byte, last func() error) (err error) {
	mode := fs.FileMode(0o644)
	info, statErr := os.Stat(target)
	if statErr == nil {
		if !info.Mode().IsRegular() {
			return errors.New("not a regular file")
		}
		mode = info.Mode().Perm()
	}
	// A killed writer may have left its temporary file. We hold the lock, so no
	// other writer uses it.
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
		mode = keepOwner(f, info, mode)
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
	if err = last(); err != nil {
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

// lock acquires the lock of target and returns a function that releases it.
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
			continue // the previous holder deleted this file: try again
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s, which another writer holds: %w", path, ctx.Err())
		case <-time.After(lockWait):
		}
	}
}

// names reports whether path is still the file f.
func names(path string, f *os.File) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := f.Stat()
	return err == nil && os.SameFile(a, b)
}
