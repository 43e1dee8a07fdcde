// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Unit queries of systemctl, with the exit statuses of systemctl(1).
const (
	statusInactive = 3
	statusUnknown  = 4
)

// reachedTargets are the targets that count as reached in a booted machine.
var reachedTargets = map[string]bool{
	"sysinit.target": true, "basic.target": true, "network.target": true, "network-online.target": true,
	"local-fs.target": true, "multi-user.target": true, "default.target": true,
}

func (p *firstProcess) isActive(_ *systemctlCall, unit string) result {
	state := "inactive"
	if reachedTargets[unit] {
		state = "active"
	} else if filepath.Ext(unit) == ".service" {
		state, _ = p.services.find(unit).current()
	}
	r := result{Out: state + "\n"}
	if state != "active" {
		r.Status = statusInactive
		if _, err := loadUnit(unit); err != nil {
			r.Status = statusUnknown
		}
	}
	return r
}

func (p *firstProcess) isFailed(_ *systemctlCall, unit string) result {
	state, _ := p.services.find(unit).current()
	r := result{Out: state + "\n"}
	if state != "failed" {
		r.Status = 1
	}
	return r
}

func (p *firstProcess) isEnabled(_ *systemctlCall, unit string) result {
	e, err := enablement(unit)
	if err != nil {
		return result{Err: fmt.Sprintf("Failed to get unit file state for %s: No such file or directory\n", unit), Status: 1}
	}
	r := result{Out: e + "\n"}
	if e == "disabled" || e == "masked" {
		r.Status = 1
	}
	return r
}

func (p *firstProcess) status(c *systemctlCall, unit string) result {
	if r, ok := onlyService(c, unit); !ok {
		return r
	}
	u, err := loadUnit(unit)
	if err != nil {
		return result{Err: fmt.Sprintf("Unit %s could not be found.\n", unit), Status: statusUnknown}
	}
	state, pid := p.services.find(unit).current()
	enabled, _ := enablement(unit) // empty if unknown
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n     Loaded: loaded (%s; %s)\n     Active: %s\n", unit, u.get("Unit.Description"), u.path, enabled, state)
	if pid != 0 {
		fmt.Fprintf(&b, "   Main PID: %d\n", pid)
	}
	if said := tail(filepath.Join(logDir, unit+".log"), 10); said != "" {
		b.WriteString("\n" + said)
	}
	r := result{Out: b.String()}
	if state != "active" && state != "activating" {
		r.Status = statusInactive
	}
	return r
}

// tail returns the last lines of a file.
func tail(name string, n int) string {
	content, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	all := strings.SplitAfter(string(content), "\n")
	return strings.Join(all[max(0, len(all)-n-1):], "")
}

// show prints properties. It rejects unsupported ones, since a script would use an
// empty value.
func (p *firstProcess) show(c *systemctlCall, unit string) result {
	s := p.services.find(unit)
	state, pid := s.current()
	u, err := loadUnit(unit)
	load, path, description := "loaded", "", unit
	if err != nil {
		load = "not-found"
	} else {
		path, description = u.path, u.get("Unit.Description")
	}
	if masked(unit) {
		load = "masked"
	}
	enabled, _ := enablement(unit) // empty if unknown, like systemctl
	s.mu.Lock()
	status := s.status
	s.mu.Unlock()
	sub := map[string]string{"active": "running", "inactive": "dead", "failed": "failed", "activating": "start", "deactivating": "stop"}[state]
	if state == "active" && pid == 0 {
		sub = "exited"
	}
	known := map[string]string{
		"Id": unit, "LoadState": load, "ActiveState": state, "SubState": sub, "UnitFileState": enabled, "FragmentPath": path,
		"SourcePath": "", // no unit is generated
		"MainPID":    fmt.Sprint(pid), "Description": description, "ExecMainStatus": fmt.Sprint(max(0, status.ExitStatus())),
	}
	names := c.properties
	if len(names) == 0 {
		names = []string{"Id", "Description", "LoadState", "ActiveState", "SubState", "UnitFileState", "FragmentPath", "MainPID", "ExecMainStatus"}
	}
	var b strings.Builder
	for _, n := range names {
		v, ok := known[n]
		if !ok {
			return unsupported("show the property %s", n)
		}
		if !c.value {
			v = n + "=" + v
		}
		b.WriteString(v + "\n")
	}
	return result{Out: b.String()}
}

func (p *firstProcess) cat(c *systemctlCall, unit string) result {
	u, err := loadUnit(unit)
	if err != nil {
		return result{Err: fmt.Sprintf("No files found for %s.\n", unit), Status: 1}
	}
	content, err := os.ReadFile(u.path)
	if err != nil {
		return failed(c, unit, err)
	}
	return result{Out: fmt.Sprintf("# %s\n%s", u.path, content)}
}

// reload runs ExecReload.
func (s *service) reload() error {
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	u, state := s.file, s.state
	s.mu.Unlock()
	if state != "active" {
		return errors.New("the service is not active")
	}
	if len(u.values["Service.ExecReload"]) == 0 {
		return errors.New("the service has no ExecReload")
	}
	r, err := newRunner(s, u)
	if err != nil {
		return err
	}
	defer r.close()
	return r.all("ExecReload", startTimeout)
}
