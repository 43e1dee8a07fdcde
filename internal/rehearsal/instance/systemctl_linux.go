// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// systemctlCall is a parsed command line of systemctl.
type systemctlCall struct {
	verb       string
	units      []string
	now, quiet bool
	value      bool
	properties []string
	signal     string
	presetMode string
}

// parseSystemctl parses options anywhere on the line, like systemctl.
func parseSystemctl(args []string) (*systemctlCall, error) {
	c := &systemctlCall{}
	var words []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			words = append(words, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
			continue
		}
		name, value, has := strings.Cut(a, "=")
		argument := func() error {
			if has {
				return nil
			}
			if i++; i == len(args) {
				return fmt.Errorf("option %s requires an argument", a)
			}
			value = args[i]
			return nil
		}
		var err error
		switch name {
		case "--now":
			c.now = true
		case "-q", "--quiet":
			c.quiet = true
		case "--value":
			c.value = true
		case "-p", "--property":
			if err = argument(); err == nil {
				c.properties = append(c.properties, strings.Split(value, ",")...)
			}
		case "-s", "--signal":
			err = argument()
			c.signal = value
		case "--preset-mode":
			err = argument()
			c.presetMode = value
		case "--root":
			if err = argument(); err == nil && value != "/" {
				err = fmt.Errorf("use the root %s", value)
			}
		case "-n", "--lines", "-o", "--output":
			err = argument()
		case "--version":
			words = append(words, name)
		case "--system", "--no-pager", "--no-block", "--no-reload", "--no-ask-password", "--no-wall", "-f", "--force", "-l", "--full", "--no-legend", "--plain", "--no-warn", "-i", "--wait":
		default:
			err = fmt.Errorf("use the option %s", a)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(words) == 0 {
		return nil, errors.New("list all units: name a verb and a unit")
	}
	c.verb = words[0]
	for _, u := range words[1:] {
		if filepath.Ext(u) == "" || !slices.Contains(unitKinds, filepath.Ext(u)) {
			u += ".service"
		}
		c.units = append(c.units, u)
	}
	return c, nil
}

// unitKinds are the suffixes of full unit names.
var unitKinds = []string{".service", ".socket", ".target", ".timer", ".mount", ".automount", ".path", ".slice", ".scope", ".swap", ".device"}

// readOnlyVerbs lists the verbs that change nothing and do not require root.
var readOnlyVerbs = []string{"is-active", "is-enabled", "is-failed", "is-system-running", "status", "show", "cat", "get-default", "--version"}

// systemctl executes a command line of systemctl, or returns an error if it is
// unsupported.
func (p *firstProcess) systemctl(args []string, root bool) (result, func()) {
	c, err := parseSystemctl(args)
	if err != nil {
		return unsupported("%v", err), nil
	}
	if !root && !slices.Contains(readOnlyVerbs, c.verb) {
		return result{Err: fmt.Sprintf("Failed to %s: Access denied: only root may\n", c.verb), Status: 1}, nil
	}
	switch c.verb {
	case "reboot", "poweroff", "halt":
		return p.power(c.verb == "reboot", root)
	case "daemon-reload", "daemon-reexec":
		return result{}, nil // unit files are always read on use
	case "get-default":
		return result{Out: "multi-user.target\n"}, nil
	case "is-system-running":
		return result{Out: "running\n"}, nil
	case "--version":
		return result{Out: "systemd 249 (rehearsal)\n"}, nil // scripts compare this version, which supports all verbs here
	}
	do, ok := map[string]func(*systemctlCall, string) result{
		"start": p.doStart, "stop": p.doStop, "restart": p.doRestart, "try-restart": p.doTryRestart, "condrestart": p.doTryRestart,
		"reload": p.doReload, "reload-or-restart": p.doReloadOrRestart, "force-reload": p.doReloadOrRestart, "try-reload-or-restart": p.doTryRestart,
		"kill": p.doKill, "reset-failed": p.doResetFailed,
		"enable": p.doEnable, "reenable": p.doEnable, "disable": p.doDisable, "mask": p.doMask, "unmask": p.doMask, "preset": p.doPreset,
		"is-active": p.isActive, "is-enabled": p.isEnabled, "is-failed": p.isFailed, "status": p.status, "show": p.show, "cat": p.cat,
	}[c.verb]
	switch {
	case !ok:
		return unsupported("%s", c.verb), nil
	case len(c.units) == 0:
		return unsupported("%s without the name of a unit", c.verb), nil
	}
	var all result
	for i, u := range c.units {
		if strings.ContainsAny(u, "*?[") || strings.Contains(u, "/") {
			return unsupported("%s %s: only names of units are supported", c.verb, u), nil
		}
		r := do(c, u)
		all.Out += r.Out
		all.Err += r.Err
		// Like for systemctl, one active unit suffices for is-active.
		if any := c.verb == "is-active" || c.verb == "is-failed" || c.verb == "is-enabled"; any && i > 0 {
			all.Status = min(all.Status, r.Status)
		} else if r.Status != 0 || i == 0 {
			all.Status = r.Status
		}
	}
	if c.quiet {
		all.Out = ""
	}
	return all, nil
}

// onlyService rejects units that are not services.
func onlyService(c *systemctlCall, unit string) (result, bool) {
	if kind := filepath.Ext(unit); kind != ".service" {
		return unsupported("%s %s: only services are supported, not a %s", c.verb, unit, kind[1:]), false
	}
	return result{}, true
}

// failed returns systemctl's error for a unit.
func failed(c *systemctlCall, unit string, err error) result {
	if err == nil {
		return result{}
	}
	if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(err.Error(), "unit "+unit) {
		return result{Err: fmt.Sprintf("Failed to %s %s: Unit %s not found.\n", c.verb, unit, unit), Status: 5}
	}
	return result{Err: fmt.Sprintf("rehearsal systemctl cannot %s %s: %v\n", c.verb, unit, err), Status: 1}
}

func (p *firstProcess) doStart(c *systemctlCall, unit string) result {
	if r, ok := onlyService(c, unit); !ok {
		return r
	}
	return failed(c, unit, p.services.start(unit))
}

func (p *firstProcess) doStop(c *systemctlCall, unit string) result {
	if r, ok := onlyService(c, unit); !ok {
		return r
	}
	if _, err := loadUnit(unit); err != nil {
		return failed(c, unit, err)
	}
	return failed(c, unit, p.services.find(unit).stop(0))
}

func (p *firstProcess) doRestart(c *systemctlCall, unit string) result {
	if r := p.doStop(c, unit); r.Status != 0 {
		return r
	}
	return p.doStart(c, unit)
}

func (p *firstProcess) doTryRestart(c *systemctlCall, unit string) result {
	if r, ok := onlyService(c, unit); !ok {
		return r
	}
	if state, _ := p.services.find(unit).current(); state != "active" {
		return result{}
	}
	return p.doRestart(c, unit)
}

func (p *firstProcess) doReload(c *systemctlCall, unit string) result {
	if r, ok := onlyService(c, unit); !ok {
		return r
	}
	return failed(c, unit, p.services.find(unit).reload())
}

func (p *firstProcess) doReloadOrRestart(c *systemctlCall, unit string) result {
	if u, err := loadUnit(unit); err == nil && len(u.values["Service.ExecReload"]) > 0 {
		if state, _ := p.services.find(unit).current(); state == "active" {
			return p.doReload(c, unit)
		}
	}
	return p.doRestart(c, unit)
}

func (p *firstProcess) doKill(c *systemctlCall, unit string) result {
	sig := unix.SIGTERM
	if c.signal != "" {
		if sig = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(c.signal), "SIG")); sig == 0 {
			return unsupported("kill with the signal %s", c.signal)
		}
	}
	s := p.services.find(unit)
	if state, _ := s.current(); state != "active" {
		return failed(c, unit, errors.New("the service is not active"))
	}
	s.killAll(sig)
	return result{}
}

func (p *firstProcess) doResetFailed(c *systemctlCall, unit string) result {
	s := p.services.find(unit)
	if state, _ := s.current(); state == "failed" {
		s.set("inactive")
	}
	s.mu.Lock()
	s.starts = nil
	s.mu.Unlock()
	return result{}
}

func (p *firstProcess) doEnable(c *systemctlCall, unit string) result {
	if r, ok := onlyService(c, unit); !ok {
		return r
	}
	var messages []string
	var err error
	if c.verb == "reenable" {
		messages, err = disable(unit)
	}
	if err == nil {
		var more []string
		more, err = enable(unit)
		messages = append(messages, more...)
	}
	r := failed(c, unit, err)
	r.Err = lines(messages) + r.Err
	if err == nil && c.now {
		started := p.doStart(c, unit)
		r.Err, r.Status = r.Err+started.Err, started.Status
	}
	return r
}

func (p *firstProcess) doDisable(c *systemctlCall, unit string) result {
	messages, err := disable(unit)
	r := failed(c, unit, err)
	r.Err = lines(messages) + r.Err
	if err == nil && c.now {
		stopped := p.doStop(c, unit)
		r.Err, r.Status = r.Err+stopped.Err, stopped.Status
	}
	return r
}

func (p *firstProcess) doMask(c *systemctlCall, unit string) result {
	messages, err := mask(unit, c.verb == "mask")
	r := failed(c, unit, err)
	r.Err = lines(messages) + r.Err
	return r
}

func (p *firstProcess) doPreset(c *systemctlCall, unit string) result {
	if filepath.Ext(unit) != ".service" {
		return result{} // services do not start here by preset
	}
	if preset(unit) {
		return p.doEnable(c, unit)
	}
	if c.presetMode == "enable-only" {
		return result{}
	}
	return p.doDisable(c, unit)
}

func lines(messages []string) string {
	if len(messages) == 0 {
		return ""
	}
	return strings.Join(messages, "\n") + "\n"
}
