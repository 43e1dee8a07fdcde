// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package instance

import (
	"fmt"
	"runtime"
)

// Check says why no sandbox can be had: it is made of Linux namespaces and
// mounts.
func Check() error {
	return fmt.Errorf("a rehearsal's instance needs Linux, and this is %s", runtime.GOOS)
}

// NewHost returns the error of Check.
func NewHost(string) (Host, error) {
	return nil, Check()
}
