// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// deletesOpen reports whether the system can delete an open file.
const deletesOpen = false

// tryLock acquires an exclusive lock, which the system releases when f is closed or
// its process dies.
func tryLock(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, err
}

// keepOwner does nothing: a new file inherits its folder's access control list.
func keepOwner(_ *os.File, _ fs.FileInfo, mode fs.FileMode) fs.FileMode { return mode }

// mayWrite does not check on Windows, and returns nil.
func mayWrite(string) error { return nil }

// isReadOnly reports whether a volume is write-protected.
func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// isFull reports whether a volume is full.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// makeWritable returns the command that makes path writable.
func makeWritable(path string) string { return "attrib -r " + path }

// syncDir does nothing: folders can't be synced.
func syncDir(string) error { return nil }
