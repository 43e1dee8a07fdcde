// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// initName is the argv[0] of a machine's first process, which is this executable.
const initName = "packer-plugin-ethminer rehearsal-init"

// tools maps the argv[0] of this executable inside a machine to its function.
var tools = map[string]func(args []string) int{
	"sudo":        sudo,
	"scp":         scp,
	"sftp-server": sftpServer,
	"systemctl":   requestInit,
	"journalctl":  journalctl,
	"shutdown":    requestInit,
	"reboot":      requestInit,
	"poweroff":    requestInit,
	"halt":        requestInit,
}

// replacedTools are the programs that a machine never uses from the host.
var replacedTools = map[string]string{
	"systemctl":  "/usr/bin/systemctl",
	"journalctl": "/usr/bin/journalctl",
	"shutdown":   "/usr/sbin/shutdown",
	"reboot":     "/usr/sbin/reboot",
	"poweroff":   "/usr/sbin/poweroff",
	"halt":       "/usr/sbin/halt",
}

// providedTools are the programs that this executable provides if the host lacks them.
var providedTools = map[string]string{
	"sudo": "/usr/bin/sudo",
	"scp":  "/usr/bin/scp",
}

// init runs before main in every executable that can start a rehearsal, including
// tests. Only a machine's first process has this argv[0], and only machines have an
// executable at toolPath.
func init() {
	if len(os.Args) == 0 {
		return
	}
	if os.Args[0] == initName {
		os.Exit(runInit())
	}
	if exe, err := os.Readlink("/proc/self/exe"); err != nil || exe != toolPath {
		return
	}
	name := filepath.Base(os.Args[0])
	run, ok := tools[name]
	if !ok {
		os.Exit(127)
	}
	if name != "sudo" { // only sudo uses the setuid bit
		gid, uid := os.Getgid(), os.Getuid()
		if unix.Setresgid(gid, gid, gid) != nil || unix.Setresuid(uid, uid, uid) != nil {
			os.Exit(126)
		}
	}
	os.Exit(run(os.Args))
}
