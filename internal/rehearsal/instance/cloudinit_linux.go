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

// Where cloud-init keeps what belongs to an instance, and what its user data
// prints.
const (
	cloudFolder = "/var/lib/cloud"
	cloudOutput = "/var/log/cloud-init-output.log"
)

// userData is the machine's user data, taken apart, at a boot.
type userData struct {
	p      *firstProcess
	folder string // of this instance
	parts  []part
}

// readUserData takes the machine's user data apart and keeps a record of it,
// as cloud-init does at every boot.
func (p *firstProcess) readUserData() *userData {
	d := &userData{p: p, folder: filepath.Join(cloudFolder, "instances", p.spec.ID)}
	if len(p.spec.UserData) == 0 {
		return d
	}
	link := filepath.Join(cloudFolder, "instance")
	err := errors.Join(os.MkdirAll(d.folder, 0o755), os.RemoveAll(link), os.Symlink(d.folder, link),
		os.WriteFile(filepath.Join(d.folder, "user-data.txt"), p.spec.UserData, 0o600))
	if err != nil {
		d.log("writing it: %v", err)
		return d
	}
	if d.parts, err = parseUserData(p.spec.UserData); err != nil {
		d.log("%v", err)
	}
	return d
}

// runBootHooks runs the parts that are for every boot.
func (d *userData) runBootHooks() {
	for _, p := range d.parts {
		if p.kind == bootHook {
			d.run("boothooks", p, "INSTANCE_ID="+d.p.spec.ID)
		}
	}
}

// runScripts runs the parts that are for the first boot, by their names, and
// says what it knows nothing of.
func (d *userData) runScripts() {
	parts := slices.Clone(d.parts)
	slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	for _, p := range parts {
		switch p.kind {
		case shellScript:
			d.run("scripts", p)
		case bootHook:
		case "text/plain":
			d.log("%s is in no format of cloud-init's: ignored", p.name)
		default:
			d.log("%s is %s, which is not understood here: ignored", p.name, p.kind)
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

// log adds a line of the rehearsal's own to what user data prints.
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
