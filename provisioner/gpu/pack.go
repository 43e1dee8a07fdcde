// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// uploadFolder sends the folder as one archive: one transfer instead of one a
// file, and links and modes survive.
func (r *run) uploadFolder(ctx context.Context) error {
	file, err := os.CreateTemp("", "ethminer-gpu-source-*.tar.gz")
	if err != nil {
		return fmt.Errorf("packing source: %w", err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	if err := packFolder(ctx, file, r.config.Source); err != nil {
		return fmt.Errorf("packing source %q: %w", r.config.Source, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("packing source: %w", err)
	}
	return r.machine.upload(ctx, r.machine.path("source.tar"), file)
}

// packFolder writes a folder's content as tar.gz, without .git and without
// folders that CMake has built in.
func packFolder(ctx context.Context, w io.Writer, folder string) error {
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
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
		return nil // sockets, devices: no source
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
	// Whose the file is here means nothing there.
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
	// Nor when it was read: the same content is the same archive.
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
