// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// scpCall is the server side of scp, which a client runs as the user who is logged in.
// Machines use it if the host lacks scp.
type scpCall struct {
	recursive, times, directory bool
	in                          *bufio.Reader
	out                         *bufio.Writer
	failed                      bool
}

// scp implements scp -t TARGET (receive) and scp -f SOURCE... (send).
func scp(args []string) int {
	c := &scpCall{in: bufio.NewReader(os.Stdin), out: bufio.NewWriter(os.Stdout)}
	var to, from bool
	var names []string
	for i, a := range args[1:] {
		if a == "--" {
			names = append(names, args[i+2:]...)
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			names = append(names, a)
			continue
		}
		for _, l := range a[1:] {
			switch l {
			case 't':
				to = true
			case 'f':
				from = true
			case 'r':
				c.recursive = true
			case 'p':
				c.times = true
			case 'd':
				c.directory = true
			case 'v', 'q':
			default:
				fmt.Fprintf(os.Stderr, "scp: the rehearsal's scp does not support option -%c\n", l)
				return 1
			}
		}
	}
	var err error
	switch {
	case to && !from && len(names) == 1:
		err = c.receive(names[0])
	case from && !to && len(names) > 0:
		err = c.send(names)
	default:
		err = errors.New("the rehearsal's scp supports only the server side: -t TARGET or -f SOURCE")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scp:", err)
		return 1
	}
	if c.failed {
		return 1
	}
	return 0
}

// writeLine sends a line. The client prints the text of an error line.
func (c *scpCall) writeLine(format string, args ...any) error {
	fmt.Fprintf(c.out, format, args...) // Flush returns the error
	return c.out.Flush()
}

// ok confirms a message to the other side.
func (c *scpCall) ok() error { return c.writeLine("\x00") }

// reportError reports an error to the other side and continues.
func (c *scpCall) reportError(err error) error {
	c.failed = true
	var p *fs.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return c.writeLine("\x01scp: %s\n", err)
}

// readStatus reads the status of the last message. It returns false for an error, and an
// error for a fatal one.
func (c *scpCall) readStatus() (bool, error) {
	b, err := c.in.ReadByte()
	if err != nil || b == 0 {
		return b == 0, err
	}
	text, err := c.in.ReadString('\n')
	if err != nil {
		return false, err
	}
	if b != 1 {
		return false, errors.New(strings.TrimSpace(text))
	}
	c.failed = true
	return false, nil
}

// send sends the files.
func (c *scpCall) send(names []string) error {
	if ok, err := c.readStatus(); err != nil || !ok {
		return err
	}
	for _, name := range names {
		if err := c.sendOne(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *scpCall) sendOne(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return c.reportError(err)
	}
	if info.IsDir() {
		return c.sendDirectory(name, info)
	}
	if !info.Mode().IsRegular() {
		return c.reportError(fmt.Errorf("%s: not a regular file", name))
	}
	f, err := os.Open(name)
	if err != nil {
		return c.reportError(err)
	}
	defer func() { _ = f.Close() }()
	if ok, err := c.sendHeader('C', name, info, info.Size()); err != nil || !ok {
		return err
	}
	n, err := io.CopyN(c.out, f, info.Size())
	if err != nil {
		// The size is already announced: pad missing data and report the error.
		if _, err := io.CopyN(c.out, zeros{}, info.Size()-n); err != nil {
			return err
		}
		if err := c.reportError(fmt.Errorf("%s: %w", name, err)); err != nil {
			return err
		}
	} else if err := c.ok(); err != nil {
		return err
	}
	_, err = c.readStatus()
	return err
}

// zeros is an endless reader of zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// sendHeader announces a file or a directory, after its times if requested.
func (c *scpCall) sendHeader(kind byte, name string, info fs.FileInfo, size int64) (bool, error) {
	if c.times {
		s := info.ModTime().Unix()
		if err := c.writeLine("T%d 0 %d 0\n", s, s); err != nil {
			return false, err
		}
		if ok, err := c.readStatus(); err != nil || !ok {
			return false, err
		}
	}
	mode := uint32(info.Mode().Perm())
	if err := c.writeLine("%c%04o %d %s\n", kind, mode, size, filepath.Base(name)); err != nil {
		return false, err
	}
	return c.readStatus()
}

func (c *scpCall) sendDirectory(name string, info fs.FileInfo) error {
	if !c.recursive {
		return c.reportError(fmt.Errorf("%s: not a regular file", name))
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return c.reportError(err)
	}
	if ok, err := c.sendHeader('D', name, info, 0); err != nil || !ok {
		return err
	}
	for _, e := range entries {
		if err := c.sendOne(filepath.Join(name, e.Name())); err != nil {
			return err
		}
	}
	if err := c.writeLine("E\n"); err != nil {
		return err
	}
	_, err = c.readStatus()
	return err
}

// receive writes the received files to the file or directory target.
func (c *scpCall) receive(target string) error {
	if c.directory {
		if info, err := os.Stat(target); err != nil || !info.IsDir() {
			if err == nil {
				err = fmt.Errorf("%s: Not a directory", target)
			}
			return errors.Join(err, c.reportError(err))
		}
	}
	if err := c.ok(); err != nil {
		return err
	}
	return c.receiveEntries(target, true)
}

// receiveEntries handles announcements until the end of the directory or input.
func (c *scpCall) receiveEntries(target string, top bool) error {
	var changed time.Time
	for {
		line, err := c.in.ReadString('\n')
		if errors.Is(err, io.EOF) && top && line == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the input: %w", err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
			return errors.New("protocol error: empty line")
		case line[0] == 1:
			c.failed = true
			fmt.Fprintln(os.Stderr, line[1:])
			continue
		case line[0] == 2:
			return errors.New(line[1:])
		case line == "E":
			if top {
				return errors.New("protocol error: unexpected E")
			}
			return c.ok()
		case line[0] == 'T':
			var m, mu, a, au int64
			if _, err := fmt.Sscanf(line, "T%d %d %d %d", &m, &mu, &a, &au); err != nil {
				return fmt.Errorf("protocol error: times %q", line)
			}
			changed = time.Unix(m, mu*1000)
			if err := c.ok(); err != nil {
				return err
			}
			continue
		}
		mode, size, name, err := parseEntry(line)
		if err != nil {
			return errors.Join(err, c.reportError(err))
		}
		to := target
		if info, err := os.Stat(target); err == nil && info.IsDir() {
			to = filepath.Join(target, name)
		}
		if line[0] == 'D' {
			err = c.makeDirectory(to, mode, changed)
		} else {
			err = c.makeFile(to, mode, size, changed)
		}
		if err != nil {
			return err
		}
		changed = time.Time{}
	}
}

// parseEntry parses "C0644 12 name" and "D0755 0 name".
func parseEntry(line string) (fs.FileMode, int64, string, error) {
	parts := strings.SplitN(line, " ", 3)
	bad := fmt.Errorf("protocol error: %q", line)
	if len(parts) != 3 || line[0] != 'C' && line[0] != 'D' {
		return 0, 0, "", bad
	}
	mode, err := strconv.ParseUint(parts[0][1:], 8, 32)
	size, err2 := strconv.ParseInt(parts[1], 10, 64)
	name := parts[2]
	if err != nil || err2 != nil || size < 0 {
		return 0, 0, "", bad
	}
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return 0, 0, "", fmt.Errorf("unexpected filename: %s", name)
	}
	return fs.FileMode(mode) & 0o777, size, name, nil
}

func (c *scpCall) makeDirectory(name string, mode fs.FileMode, changed time.Time) error {
	if !c.recursive {
		err := fmt.Errorf("%s: received a directory without -r", name)
		return errors.Join(err, c.reportError(err))
	}
	if err := os.Mkdir(name, mode|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return errors.Join(err, c.reportError(err))
	}
	if err := c.ok(); err != nil {
		return err
	}
	if err := c.receiveEntries(name, false); err != nil {
		return err
	}
	if c.times {
		return errors.Join(os.Chmod(name, mode), os.Chtimes(name, changed, changed))
	}
	return nil
}

func (c *scpCall) makeFile(name string, mode fs.FileMode, size int64, changed time.Time) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return c.reportError(err) // the sender skips this file
	}
	if err := c.ok(); err != nil {
		return errors.Join(err, f.Close())
	}
	body := io.LimitReader(c.in, size)
	_, failed := io.Copy(f, body)
	if failed != nil {
		_, _ = io.Copy(io.Discard, body) // keeps the protocol in sync
	}
	failed = errors.Join(failed, f.Close())
	if c.times && failed == nil {
		failed = errors.Join(os.Chmod(name, mode), os.Chtimes(name, changed, changed))
	}
	if _, err := c.readStatus(); err != nil {
		return err
	}
	if failed != nil {
		return c.reportError(failed)
	}
	return c.ok()
}
