// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// UploadOwn uploads a file of the scripts to the work folder.
func (m *Machine) UploadOwn(ctx context.Context, file string) error {
	return m.uploadFrom(ctx, m.scripts, file)
}

// uploadFrom uploads a file by its name, without its folder.
func (m *Machine) uploadFrom(ctx context.Context, files fs.FS, file string) error {
	data, err := fs.ReadFile(files, file)
	if err != nil {
		return err
	}
	return m.Upload(ctx, path.Base(file), bytes.NewReader(data))
}

// Upload writes a file to the work folder; ctx ends the wait for it.
func (m *Machine) Upload(ctx context.Context, name string, data io.Reader) error {
	to := m.path(name)
	done := make(chan error, 1)
	go func() { done <- m.comm.Upload(to, data, nil) }()
	select {
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("uploading %s to the instance: %w", to, err)
			if broken.MatchString(err.Error()) {
				return &lostError{err}
			}
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// UploadFile uploads a local file to the work folder.
func (m *Machine) UploadFile(ctx context.Context, path, as string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	return m.Upload(ctx, as, file)
}

// UploadFolder packs a folder and uploads it to the work folder as one file:
// a single transfer that preserves links and modes.
func (m *Machine) UploadFolder(ctx context.Context, folder, as string) error {
	file, err := os.CreateTemp("", "ethminer-gpu-source-*.tar.gz")
	if err != nil {
		return fmt.Errorf("packing source: %w", err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	if err := packFolder(ctx, file, folder); err != nil {
		return fmt.Errorf("packing source %q: %w", folder, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("packing source: %w", err)
	}
	return m.Upload(ctx, as, file)
}
