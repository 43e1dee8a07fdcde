// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// command executes a command line. It returns its output, and a function to run after
// the output is sent.
func (p *firstProcess) command(name string, args []string, root bool) (result, func()) {
	switch name {
	case "reboot", "poweroff", "halt":
		for _, a := range args {
			switch a {
			case "-f", "--force", "--no-wall", "-q", "--quiet", "-i":
			case "-p", "--poweroff":
				name = "poweroff"
			case "--reboot":
				name = "reboot"
			default:
				return unsupported("%s %s", name, a), nil
			}
		}
		return p.power(name == "reboot", root)
	case "shutdown":
		return p.shutdown(args, root)
	}
	return p.systemctl(args, root)
}

// power shuts the machine down, or reboots it.
func (p *firstProcess) power(reboot, root bool) (result, func()) {
	if !root {
		return result{Err: "Access denied: only root may do this\n", Status: 1}, nil
	}
	return result{}, func() { go p.shutDown(reboot) }
}

// shutdown implements shutdown [-h|-P|-r] [-c] TIME [MESSAGE].
func (p *firstProcess) shutdown(args []string, root bool) (result, func()) {
	reboot, cancel := false, false
	var words []string
	for _, a := range args {
		switch {
		case a == "-r" || a == "--reboot":
			reboot = true
		case a == "-c":
			cancel = true
		case a == "-h" || a == "-P" || a == "-H" || a == "--poweroff" || a == "--halt" || a == "--no-wall" || a == "-k":
			if a == "-k" {
				return unsupported("shutdown -k"), nil
			}
		case strings.HasPrefix(a, "-"):
			return unsupported("shutdown %s", a), nil
		default:
			words = append(words, a)
		}
	}
	if !root {
		return result{Err: "Access denied: only root may do this\n", Status: 1}, nil
	}
	if cancel {
		p.schedule(0, nil)
		return result{}, nil
	}
	when := "+1"
	if len(words) > 0 {
		when = words[0]
	}
	delay, err := until(when, time.Now())
	if err != nil {
		return result{Err: fmt.Sprintf("Failed to parse time specification: %s\n", when), Status: 1}, nil
	}
	if delay == 0 {
		return p.power(reboot, root)
	}
	p.schedule(delay, func() { p.shutDown(reboot) })
	verb := "Shutdown"
	if reboot {
		verb = "Reboot"
	}
	at := time.Now().Add(delay).UTC().Format("Mon 2006-01-02 15:04:05 MST")
	return result{Err: fmt.Sprintf("%s scheduled for %s, use 'shutdown -c' to cancel.\n", verb, at)}, nil
}

// schedule replaces the scheduled action; nil cancels it.
func (p *firstProcess) schedule(delay time.Duration, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if f != nil {
		p.timer = time.AfterFunc(delay, f)
	}
}

// until parses shutdown's TIME: now, +MINUTES or MINUTES, HH:MM.
func until(when string, now time.Time) (time.Duration, error) {
	if when == "now" {
		return 0, nil
	}
	if t, err := time.ParseInLocation("15:04", when, now.Location()); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		return at.Sub(now), nil
	}
	minutes, err := strconv.ParseUint(strings.TrimPrefix(when, "+"), 10, 31)
	if err != nil {
		return 0, err
	}
	return time.Duration(minutes) * time.Minute, nil
}
