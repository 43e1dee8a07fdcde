// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// localLog is the output of one script in a local temporary file.
type localLog struct {
	file   *os.File
	size   int
	recent string
	kept   bool
}

// maxLog bounds a log, in bytes, for a script that never stops printing.
const maxLog = 32 << 20

func newLog(name string) (*localLog, error) {
	file, err := os.CreateTemp("", "ethminer-gpu-"+name+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("making a local log: %w", err)
	}
	return &localLog{file: file}, nil
}

func (l *localLog) line(text string) {
	l.recent = text
	if l.size += len(text) + 1; l.size <= maxLog {
		_, _ = io.WriteString(l.file, text+"\n")
	}
}

// keep leaves the file when something is in it and names it.
func (l *localLog) keep() string {
	if l.size == 0 {
		return ""
	}
	l.kept = true
	return l.file.Name()
}

func (l *localLog) close() {
	_ = l.file.Close()
	if !l.kept {
		_ = os.Remove(l.file.Name())
	}
}

// logFile is the local log that an error of run names, or "".
func logFile(err error) string {
	var failed *errScript
	if errors.As(err, &failed) {
		return failed.log
	}
	return ""
}
