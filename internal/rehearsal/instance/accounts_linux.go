// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// account is an entry of /etc/passwd.
type account struct {
	name, home, shell string
	uid, gid          int
}

const (
	firstPerson = 1000  // first uid of people, as in Debian's adduser
	nobody      = 65534 // uid and gid of nobody, although above firstPerson
)

// person reports whether the account belongs to a person, not to the system.
func (a account) person() bool { return a.uid >= firstPerson && a.uid != nobody }

// fields splits a file of colon-separated lines; a missing file has no lines.
func fields(name string, atLeast int) [][]string {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var lines [][]string
	for line := range strings.Lines(string(content)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) >= atLeast {
			lines = append(lines, f)
		}
	}
	return lines
}

// join is the inverse of fields.
func join(lines [][]string) []byte {
	var b bytes.Buffer
	for _, f := range lines {
		b.WriteString(strings.Join(f, ":") + "\n")
	}
	return b.Bytes()
}

// readAccounts parses /etc/passwd and skips invalid lines.
func readAccounts() []account {
	var all []account
	for _, f := range fields("/etc/passwd", 7) {
		uid, err := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err == nil && err2 == nil {
			all = append(all, account{f[0], f[5], f[6], uid, gid})
		}
	}
	return all
}

// accounts keeps the system's users and groups, without passwords.
func (b base) accounts() error {
	people := map[string]bool{}
	keep := func(file string, id int) [][]string {
		var keptLines [][]string
		for _, f := range fields(file, id+1) {
			if n, err := strconv.Atoi(f[id]); err == nil && n >= firstPerson && n != nobody {
				people[f[0]] = true
				continue
			}
			keptLines = append(keptLines, f)
		}
		return keptLines
	}
	passwd := keep("/etc/passwd", 2)
	group := keep("/etc/group", 2)
	for _, f := range group {
		if len(f) > 3 {
			f[3] = strings.Join(slices.DeleteFunc(strings.Split(f[3], ","), func(n string) bool { return people[n] }), ",")
		}
	}
	var shadow, gshadow [][]string
	for _, f := range passwd {
		f[1] = "x"
		shadow = append(shadow, []string{f[0], "*", "19000", "0", "99999", "7", "", "", ""})
	}
	for _, f := range group {
		f[1] = "x"
		gshadow = append(gshadow, []string{f[0], "*", "", f[len(f)-1]})
	}
	for _, w := range []struct {
		name    string
		content []byte
		mode    fs.FileMode
	}{
		{"/etc/passwd", join(passwd), 0o644}, {"/etc/group", join(group), 0o644},
		{"/etc/shadow", join(shadow), 0o600}, {"/etc/gshadow", join(gshadow), 0o600},
		{"/etc/subuid", nil, 0o644}, {"/etc/subgid", nil, 0o644},
	} {
		if err := b.write(w.name, w.content, w.mode); err != nil {
			return err
		}
	}
	for _, name := range []string{"/etc/passwd-", "/etc/group-"} {
		if _, err := os.Lstat(name); err == nil {
			if err := b.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
