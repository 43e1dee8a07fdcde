// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// initName is the argv[0] of a machine's first process, which is this
// executable.
const initName = "packer-plugin-ethminer rehearsal-init"

// tools are what this executable is inside a machine, by argv[0].
var tools = map[string]func(args []string) int{
	"sudo":        sudo,
	"scp":         scp,
	"sftp-server": sftpServer,
	"systemctl":   askInit,
	"journalctl":  journalctl,
	"shutdown":    askInit,
	"reboot":      askInit,
	"poweroff":    askInit,
	"halt":        askInit,
}

// replaced are the programs that a machine never has from the host.
var replaced = map[string]string{
	"systemctl":  "/usr/bin/systemctl",
	"journalctl": "/usr/bin/journalctl",
	"shutdown":   "/usr/sbin/shutdown",
	"reboot":     "/usr/sbin/reboot",
	"poweroff":   "/usr/sbin/poweroff",
	"halt":       "/usr/sbin/halt",
}

// missing are the programs that a machine has from here if the host lacks them.
var missing = map[string]string{
	"sudo": "/usr/bin/sudo",
	"scp":  "/usr/bin/scp",
}

// This runs before main in every executable that a rehearsal may be started
// from, tests included, so that none has to remember a call. Nothing but a
// machine's first process has this argv[0], and only in a machine is an
// executable found at toolPath.
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
	if name != "sudo" { // the file is setuid for sudo alone
		gid, uid := os.Getgid(), os.Getuid()
		if unix.Setresgid(gid, gid, gid) != nil || unix.Setresuid(uid, uid, uid) != nil {
			os.Exit(126)
		}
	}
	os.Exit(run(os.Args))
}
