// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// deletesOpen says whether an open file can be deleted.
const deletesOpen = false

// tryLock takes an exclusive lock, which the system gives back when f is closed
// or its process dies.
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

// keepOwner does nothing: a new file takes its folder's access list.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// syncDir does nothing: folders can't be synced.
func syncDir(string) error { return nil }
