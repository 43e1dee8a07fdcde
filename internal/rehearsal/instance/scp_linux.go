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

// scpCall is the server's half of scp: what a client runs at the other end, as
// the user who is logged in. It is there for hosts that have no scp.
type scpCall struct {
	recursive, times, directory bool
	in                          *bufio.Reader
	out                         *bufio.Writer
	failed                      bool
}

// scp is scp -t TARGET (receive) and scp -f SOURCE... (send).
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
				fmt.Fprintf(os.Stderr, "scp: a rehearsal's scp has no option -%c\n", l)
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
		err = errors.New("a rehearsal's scp is the server's half only: -t TARGET or -f SOURCE")
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

// say sends a line, or with an error its text, which the client prints.
func (c *scpCall) say(format string, args ...any) error {
	fmt.Fprintf(c.out, format, args...) // Flush returns the error
	return c.out.Flush()
}

// ok tells the other end to go on.
func (c *scpCall) ok() error { return c.say("\x00") }

// complain tells the other end what failed, and goes on.
func (c *scpCall) complain(err error) error {
	c.failed = true
	var p *fs.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return c.say("\x01scp: %s\n", err)
}

// answer reads whether the other end could do what it was told. A complaint is
// false; a fatal one is an error.
func (c *scpCall) answer() (bool, error) {
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
	if ok, err := c.answer(); err != nil || !ok {
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
		return c.complain(err)
	}
	if info.IsDir() {
		return c.sendDirectory(name, info)
	}
	if !info.Mode().IsRegular() {
		return c.complain(fmt.Errorf("%s: not a regular file", name))
	}
	f, err := os.Open(name)
	if err != nil {
		return c.complain(err)
	}
	defer func() { _ = f.Close() }()
	if ok, err := c.head('C', name, info, info.Size()); err != nil || !ok {
		return err
	}
	n, err := io.CopyN(c.out, f, info.Size())
	if err != nil {
		// The size is promised: what is missing is made up, and complained of.
		if _, err := io.CopyN(c.out, zeros{}, info.Size()-n); err != nil {
			return err
		}
		if err := c.complain(fmt.Errorf("%s: %w", name, err)); err != nil {
			return err
		}
	} else if err := c.ok(); err != nil {
		return err
	}
	_, err = c.answer()
	return err
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// head announces a file or a directory, after its times if they are wanted.
func (c *scpCall) head(kind byte, name string, info fs.FileInfo, size int64) (bool, error) {
	if c.times {
		s := info.ModTime().Unix()
		if err := c.say("T%d 0 %d 0\n", s, s); err != nil {
			return false, err
		}
		if ok, err := c.answer(); err != nil || !ok {
			return false, err
		}
	}
	mode := uint32(info.Mode().Perm())
	if err := c.say("%c%04o %d %s\n", kind, mode, size, filepath.Base(name)); err != nil {
		return false, err
	}
	return c.answer()
}

func (c *scpCall) sendDirectory(name string, info fs.FileInfo) error {
	if !c.recursive {
		return c.complain(fmt.Errorf("%s: not a regular file", name))
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return c.complain(err)
	}
	if ok, err := c.head('D', name, info, 0); err != nil || !ok {
		return err
	}
	for _, e := range entries {
		if err := c.sendOne(filepath.Join(name, e.Name())); err != nil {
			return err
		}
	}
	if err := c.say("E\n"); err != nil {
		return err
	}
	_, err = c.answer()
	return err
}

// receive writes what the other end sends to the file or directory target.
func (c *scpCall) receive(target string) error {
	if c.directory {
		if info, err := os.Stat(target); err != nil || !info.IsDir() {
			if err == nil {
				err = fmt.Errorf("%s: Not a directory", target)
			}
			return errors.Join(err, c.complain(err))
		}
	}
	if err := c.ok(); err != nil {
		return err
	}
	return c.into(target, true)
}

// into handles announcements until the end of the directory or of the input.
func (c *scpCall) into(target string, top bool) error {
	var changed time.Time
	for {
		line, err := c.in.ReadString('\n')
		if errors.Is(err, io.EOF) && top && line == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading what is sent: %w", err)
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
		mode, size, name, err := announced(line)
		if err != nil {
			return errors.Join(err, c.complain(err))
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

// announced parses "C0644 12 name" and "D0755 0 name".
func announced(line string) (fs.FileMode, int64, string, error) {
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
		return errors.Join(err, c.complain(err))
	}
	if err := os.Mkdir(name, mode|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return errors.Join(err, c.complain(err))
	}
	if err := c.ok(); err != nil {
		return err
	}
	if err := c.into(name, false); err != nil {
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
		return c.complain(err) // the sender skips it
	}
	if err := c.ok(); err != nil {
		return errors.Join(err, f.Close())
	}
	body := io.LimitReader(c.in, size)
	_, failed := io.Copy(f, body)
	if failed != nil {
		_, _ = io.Copy(io.Discard, body) // or the protocol is lost
	}
	failed = errors.Join(failed, f.Close())
	if c.times && failed == nil {
		failed = errors.Join(os.Chmod(name, mode), os.Chtimes(name, changed, changed))
	}
	if _, err := c.answer(); err != nil {
		return err
	}
	if failed != nil {
		return c.complain(failed)
	}
	return c.ok()
}
