// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// HashSource returns the SHA-256 of a local source as it would be uploaded.
func HashSource(ctx context.Context, path string) (string, error) {
	sum := sha256.New()
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case info.IsDir():
		err = packFolder(ctx, sum, path)
	default:
		var file *os.File
		if file, err = os.Open(path); err == nil {
			_, err = io.Copy(sum, file)
			err = errors.Join(err, file.Close())
		}
	}
	if err != nil {
		return "", fmt.Errorf("reading source %q: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// packFolder writes a folder's content as tar.gz, without .git and CMake build
// folders. Links in the folder stay links; the folder itself may be one.
func packFolder(ctx context.Context, w io.Writer, folder string) error {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil || rel == "." {
			return err
		}
		if entry.Name() == ".git" || entry.Name() == "CMakeFiles" || isBuildFolder(path, entry) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Name() == "CMakeCache.txt" {
			return nil
		}
		return packFile(archive, path, filepath.ToSlash(rel), entry)
	})
	return errors.Join(err, archive.Close(), packed.Close())
}

func isBuildFolder(path string, entry fs.DirEntry) bool {
	if !entry.IsDir() {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "CMakeCache.txt"))
	return err == nil
}

func packFile(archive *tar.Writer, path, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	mode := info.Mode()
	if !mode.IsRegular() && !mode.IsDir() && mode&fs.ModeSymlink == 0 {
		return nil // sockets and devices are not source
	}
	link := ""
	if mode&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	// Local owners have no meaning on the instance.
	header.Mode &= 0o777 // no setuid
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
	// Without access times, the same content makes the same archive.
	header.AccessTime, header.ChangeTime, header.Format = time.Time{}, time.Time{}, tar.FormatPAX
	if err := archive.WriteHeader(header); err != nil || !mode.IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return errors.Join(err, file.Close())
}
