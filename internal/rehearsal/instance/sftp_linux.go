// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pkg/sftp"
)

// stdio is the connection of the SFTP subsystem.
type stdio struct {
	io.Reader
	io.WriteCloser
}

// sftpServer serves the file system with the rights of its user.
func sftpServer([]string) int {
	s, err := sftp.NewServer(stdio{os.Stdin, os.Stdout})
	if err == nil {
		err = s.Serve()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "sftp-server:", err)
		return 1
	}
	return 0
}
