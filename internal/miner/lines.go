// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "bytes"

// maxLine bounds how much of one line is kept, in bytes; the rest of a longer
// line is dropped.
const maxLine = 8 << 10

// Lines is an io.Writer that hands every line on, without its end (LF, CR or
// both), in constant memory. Empty lines are skipped.
type Lines struct {
	// Each is called with each line.
	Each    func(line string)
	pending []byte
}

// Write never fails.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			l.keep(p)
			break
		}
		l.keep(p[:end])
		l.Flush()
		p = p[end+1:]
	}
	return n, nil
}

// Flush hands on a last line that had no end.
func (l *Lines) Flush() {
	if len(l.pending) > 0 {
		line := string(l.pending)
		l.pending = l.pending[:0]
		l.Each(line)
	}
}

func (l *Lines) keep(p []byte) {
	room := maxLine - len(l.pending)
	l.pending = append(l.pending, p[:min(len(p), room)]...)
}
