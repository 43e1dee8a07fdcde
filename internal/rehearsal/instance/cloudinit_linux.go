// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Paths where cloud-init keeps the data of an instance and the output of its user data.
const (
	cloudFolder = "/var/lib/cloud"
	cloudOutput = "/var/log/cloud-init-output.log"
)

// userData is the machine's parsed user data at a boot.
type userData struct {
	p      *firstProcess
	folder string // cloud-init's folder of this instance
	parts  []part
}

// readUserData parses the machine's user data and saves it, like cloud-init at every
// boot.
func (p *firstProcess) readUserData() *userData {
	d := &userData{p: p, folder: filepath.Join(cloudFolder, "instances", p.spec.ID)}
	if len(p.spec.UserData) == 0 {
		return d
	}
	link := filepath.Join(cloudFolder, "instance")
	err := errors.Join(os.MkdirAll(d.folder, 0o755), os.RemoveAll(link), os.Symlink(d.folder, link),
		os.WriteFile(filepath.Join(d.folder, "user-data.txt"), p.spec.UserData, 0o600))
	if err != nil {
		d.log("saving the user data: %v", err)
		return d
	}
	if d.parts, err = parseUserData(p.spec.UserData); err != nil {
		d.log("%v", err)
	}
	return d
}

// runBootHooks runs the parts for every boot.
func (d *userData) runBootHooks() {
	for _, p := range d.parts {
		if p.kind == bootHook {
			d.run("boothooks", p, "INSTANCE_ID="+d.p.spec.ID)
		}
	}
}

// runScripts runs the parts for the first boot, ordered by name, and logs unsupported
// parts.
func (d *userData) runScripts() {
	parts := slices.Clone(d.parts)
	slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	for _, p := range parts {
		switch p.kind {
		case shellScript:
			d.run("scripts", p)
		case bootHook:
		case "text/plain":
			d.log("%s: unknown format, ignored", p.name)
		default:
			d.log("%s: %s is not supported, ignored", p.name, p.kind)
		}
	}
}

// run runs a part as root and waits for its end.
func (d *userData) run(folder string, p part, env ...string) {
	script := filepath.Join(d.folder, folder, filepath.Base(p.name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(script), 0o755), os.WriteFile(script, p.text, 0o700)); err != nil {
		d.log("writing %s: %v", p.name, err)
		return
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		d.log("%v", err)
		return
	}
	defer func() { _ = null.Close() }()
	out, err := openCloudOutput()
	if err != nil {
		d.log("%v", err)
		return
	}
	defer func() { _ = out.Close() }()
	_, status, err := d.p.family.start(script, []string{script}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   append([]string{"PATH=" + path, "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8"}, env...),
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		d.log("running %s: %v", p.name, err)
		return
	}
	if s := <-status; s != unix.WaitStatus(0) {
		d.log("%s ended with %s", p.name, describe(s))
	}
}

func openCloudOutput() (*os.File, error) {
	return os.OpenFile(cloudOutput, os.O_CREATE|os.O_APPEND|os.O_WRONLY, fs.FileMode(0o640))
}

// log adds a message of the rehearsal to the output of the user data.
func (d *userData) log(format string, args ...any) {
	line := "rehearsal: user data: " + fmt.Sprintf(format, args...)
	out, err := openCloudOutput()
	if err != nil {
		fmt.Fprintln(os.Stderr, line)
		return
	}
	defer func() { _ = out.Close() }()
	_, _ = fmt.Fprintln(out, line)
}
