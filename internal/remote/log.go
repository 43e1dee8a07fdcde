// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
)

// localLog holds the output of one script in a local temporary file: of a script that
// never stops printing, the beginning and the end.
type localLog struct {
	file   *os.File // nil if it cannot be created
	size   int      // of the output
	tail   []byte   // the end of the output, after the first maxHead bytes
	recent string
	kept   bool
}

// maxHead and maxTail limit a log, in bytes.
const (
	maxHead = 4 << 20
	maxTail = 4 << 20
)

// newLog creates a log. It is not worth failing for, so without a file the log only
// knows the last line.
func newLog(name string) *localLog {
	file, err := os.CreateTemp("", "ethminer-gpu-"+name+"-*.log")
	if err != nil {
		log.Printf("[WARN] the output of %s is not kept: %s", name, err)
	}
	return &localLog{file: file}
}

func (l *localLog) line(text string) {
	l.recent = text
	l.size += len(text) + 1
	if l.file == nil {
		return
	}
	if l.size <= maxHead {
		_, _ = io.WriteString(l.file, text+"\n") // the disk may be full
		return
	}
	l.tail = append(append(l.tail, text...), '\n')
	if len(l.tail) > 2*maxTail {
		l.tail = append(l.tail[:0], lastLines(l.tail)...)
	}
}

// lastLines returns the complete lines among the last maxTail bytes.
func lastLines(text []byte) []byte {
	if len(text) > maxTail {
		text = text[len(text)-maxTail:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return text
}

// keep preserves the file unless it is empty, and returns its name.
func (l *localLog) keep() string {
	if l.size == 0 || l.file == nil {
		return ""
	}
	if tail := lastLines(l.tail); len(tail) > 0 {
		head, _ := l.file.Seek(0, io.SeekCurrent)
		if omitted := l.size - int(head) - len(tail); omitted > 0 {
			_, _ = fmt.Fprintf(l.file, "... %d bytes are omitted here ...\n", omitted)
		}
		_, _ = l.file.Write(tail)
	}
	l.kept = true
	return l.file.Name()
}

func (l *localLog) close() {
	if l.file == nil {
		return
	}
	_ = l.file.Close()
	if !l.kept {
		_ = os.Remove(l.file.Name())
	}
}

// LogFile returns the local log of an error of run, or "".
func LogFile(err error) string {
	var failed *ScriptError
	if errors.As(err, &failed) {
		return failed.Log
	}
	return ""
}
