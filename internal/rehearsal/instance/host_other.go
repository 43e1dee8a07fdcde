// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package instance

import (
	"fmt"
	"runtime"
)

// Check returns an error: a rehearsal instance requires the namespaces and mounts of Linux.
func Check() error {
	return fmt.Errorf("rehearsal instances require Linux, got %s", runtime.GOOS)
}

// NewHost returns the error of Check.
func NewHost(string, string) (Host, error) {
	return nil, Check()
}
