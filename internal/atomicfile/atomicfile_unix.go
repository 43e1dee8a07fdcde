//go:build !windows

// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// deletesOpen reports whether the system can delete an open file.
const deletesOpen = true

// tryLock acquires an exclusive lock, which the system releases when f is closed or
// its process dies.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// keepOwner sets the owner and group of f to those of info, as far as permitted, and
// returns the mode to set. A plain write would keep both, so it is no error if this
// fails. A different group then gets only the permissions that others have.
func keepOwner(f *os.File, info fs.FileInfo, mode fs.FileMode) fs.FileMode {
	want, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return mode
	}
	if f.Chown(int(want.Uid), int(want.Gid)) == nil || f.Chown(-1, int(want.Gid)) == nil {
		return mode
	}
	now, err := f.Stat()
	if err != nil {
		return mode &^ 0o070
	}
	if have, ok := now.Sys().(*syscall.Stat_t); ok && have.Gid == want.Gid {
		return mode
	}
	return mode&^0o070 | mode&(mode<<3)&0o070
}

// mayWrite returns why the current user cannot write the file or the folder.
func mayWrite(path string) error { return unix.Access(path, unix.W_OK) }

// isReadOnly reports whether a file system is mounted read-only.
func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

// isFull reports whether a file system, or the user's share of it, is full.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// makeWritable returns the command that makes path writable for its owner.
func makeWritable(path string) string { return "chmod u+w " + path }

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
