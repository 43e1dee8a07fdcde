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
	"syscall"

	"golang.org/x/sys/unix"
)

// sudoCall is a parsed command line of sudo.
type sudoCall struct {
	user, group  string
	keepEnv      bool     // -E
	keep         []string // --preserve-env=LIST
	setHome      bool     // -H
	login, shell bool     // -i, -s
	validate     bool     // -v, -k, -K: nothing to run
	version      bool
	env          []string // VAR=value before the command
	command      []string
}

// sudo runs a command as another user without a password, if sudoersFile allows it.
// Machines use it if the host lacks sudo.
func sudo(args []string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 1
	}
	call, err := parseSudo(args[1:])
	if err != nil {
		return fail(err)
	}
	if call.version {
		fmt.Println("sudo of a rehearsal instance")
		return 0
	}
	caller, err := callerAccount()
	if err != nil {
		return fail(err)
	}
	if !maySudo(caller) {
		return fail(errors.New("a password is required"))
	}
	if call.validate {
		return 0
	}
	target, err := findAccount(call.user)
	if err != nil {
		return fail(fmt.Errorf("unknown user %s", call.user))
	}
	return fail(call.exec(caller, target))
}

// parseSudo parses the options before the command.
func parseSudo(args []string) (*sudoCall, error) {
	c := &sudoCall{user: "root"}
	for len(args) > 0 {
		a := args[0]
		if a == "--" {
			args = args[1:]
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			if name, _, ok := strings.Cut(a, "="); ok && name != "" && !strings.Contains(name, "/") {
				c.env = append(c.env, a)
				args = args[1:]
				continue
			}
			break
		}
		args = args[1:]
		var err error
		if strings.HasPrefix(a, "--") {
			args, err = c.long(a, args)
		} else {
			args, err = c.short(a[1:], args)
		}
		if err != nil {
			return nil, err
		}
	}
	c.command = args
	if len(args) == 0 && !c.login && !c.shell && !c.validate && !c.version {
		return nil, errors.New("usage: sudo [-n] [-E] [-H] [-S] [-i | -s] [-u user] [-g group] [VAR=value] command")
	}
	return c, nil
}

// long parses an option of the form --name or --name=value.
func (c *sudoCall) long(a string, rest []string) ([]string, error) {
	name, value, has := strings.Cut(a, "=")
	if (name == "--user" || name == "--group" || name == "--prompt") && !has {
		if len(rest) == 0 {
			return nil, fmt.Errorf("option %s requires an argument", a)
		}
		value, rest = rest[0], rest[1:]
	}
	switch name {
	case "--user":
		c.user = value
	case "--group":
		c.group = value
	case "--preserve-env":
		if has {
			c.keep = append(c.keep, strings.Split(value, ",")...)
		} else {
			c.keepEnv = true
		}
	case "--set-home":
		c.setHome = true
	case "--login":
		c.login = true
	case "--shell":
		c.shell = true
	case "--validate", "--reset-timestamp", "--remove-timestamp":
		c.validate = true
	case "--version":
		c.version = true
	case "--non-interactive", "--stdin", "--prompt":
	default:
		return nil, fmt.Errorf("the rehearsal's sudo does not support option %s", a)
	}
	return rest, nil
}

// short parses combined one-letter options.
func (c *sudoCall) short(letters string, rest []string) ([]string, error) {
	for i, l := range letters {
		switch l {
		case 'n', 'S', 'A':
		case 'E':
			c.keepEnv = true
		case 'H':
			c.setHome = true
		case 'i':
			c.login = true
		case 's':
			c.shell = true
		case 'v', 'k', 'K':
			c.validate = true
		case 'V':
			c.version = true
		case 'u', 'g', 'p':
			value := letters[i+1:]
			if value == "" {
				if len(rest) == 0 {
					return nil, fmt.Errorf("option -%c requires an argument", l)
				}
				value, rest = rest[0], rest[1:]
			}
			switch l {
			case 'u':
				c.user = value
			case 'g':
				c.group = value
			}
			return rest, nil
		default:
			return nil, fmt.Errorf("the rehearsal's sudo does not support option -%c", l)
		}
	}
	return rest, nil
}

// callerAccount returns the user who ran sudo.
func callerAccount() (account, error) {
	uid := os.Getuid()
	for _, a := range readAccounts() {
		if a.uid == uid {
			return a, nil
		}
	}
	return account{}, fmt.Errorf("you do not exist in the passwd database (uid %d)", uid)
}

// maySudo reports whether the account may use sudo without a password: root, and users
// in a file of sudoers.d.
func maySudo(a account) bool {
	if a.uid == 0 {
		return true
	}
	files, _ := filepath.Glob("/etc/sudoers.d/*") // fails only for a malformed pattern
	for _, name := range append(files, "/etc/sudoers") {
		content, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			if who, what, ok := strings.Cut(strings.TrimSpace(line), " "); ok && who == a.name && strings.Contains(what, "NOPASSWD:") {
				return true
			}
		}
	}
	return false
}

// exec replaces this process with the command as the target user. It returns only on an
// error.
func (c *sudoCall) exec(caller, target account) error {
	argv := c.command
	line := strings.Join(argv, " ")
	switch {
	case c.login && len(argv) == 0:
		argv = []string{"-" + filepath.Base(target.shell)}
	case c.login:
		argv = []string{"-" + filepath.Base(target.shell), "-c", escape(argv)}
	case c.shell && len(argv) == 0:
		argv = []string{filepath.Base(target.shell)}
	case c.shell:
		argv = []string{filepath.Base(target.shell), "-c", escape(argv)}
	}
	file := target.shell
	if !c.login && !c.shell {
		var err error
		if file, err = find(argv[0]); err != nil {
			return err
		}
	}
	gid, groups := target.gid, target.groups()
	if c.group != "" {
		id, err := groupID(c.group)
		if err != nil {
			return err
		}
		gid, groups = id, append(groups, uint32(id))
	}
	ids := make([]int, len(groups))
	for i, g := range groups {
		ids[i] = int(g)
	}
	if err := errors.Join(syscall.Setgroups(ids), syscall.Setresgid(gid, gid, gid), syscall.Setresuid(target.uid, target.uid, target.uid)); err != nil {
		return fmt.Errorf("becoming %s: %w", target.name, err)
	}
	if c.login {
		if err := os.Chdir(target.home); err != nil {
			return err
		}
	}
	if c.command == nil {
		line = file
	}
	err := unix.Exec(file, argv, c.environment(caller, target, line))
	return fmt.Errorf("unable to execute %s: %w", file, err)
}

// environment returns the parts of the caller's environment that sudoers' default
// env_reset keeps.
func (c *sudoCall) environment(caller, target account, line string) []string {
	kept := map[string]bool{"TERM": true, "LANG": true, "LANGUAGE": true, "DISPLAY": true, "XAUTHORITY": true, "COLORTERM": true, "TZ": true}
	for _, name := range c.keep {
		kept[name] = true
	}
	env := map[string]string{}
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if kept[name] || strings.HasPrefix(name, "LC_") || c.keepEnv && !c.login && !strings.HasPrefix(name, "LD_") {
			env[name] = value
		}
	}
	if !c.keepEnv || c.setHome || c.login || env["HOME"] == "" {
		if !kept["HOME"] {
			env["HOME"] = target.home
		}
	}
	for name, value := range map[string]string{
		"PATH": path, "USER": target.name, "LOGNAME": target.name, "SHELL": target.shell,
		"SUDO_USER": caller.name, "SUDO_UID": fmt.Sprint(caller.uid), "SUDO_GID": fmt.Sprint(caller.gid), "SUDO_COMMAND": line,
	} {
		env[name] = value
	}
	for _, v := range c.env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	var all []string
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return all
}

// find searches a program in sudo's secure_path.
func find(name string) (string, error) {
	if strings.Contains(name, "/") {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("%s: command not found", name)
		}
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: command not found", name)
}

// escape joins arguments for a shell, like sudo -i and -s: all characters except
// alphanumerics, _, - and $ get a backslash.
func escape(argv []string) string {
	var b strings.Builder
	for i, a := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		for _, r := range []byte(a) {
			plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '$'
			if !plain {
				b.WriteByte('\\')
			}
			b.WriteByte(r)
		}
	}
	return b.String()
}

// groupID returns the id of a group.
func groupID(name string) (int, error) {
	for _, f := range fields("/etc/group", 3) {
		var id int
		if _, err := fmt.Sscan(f[2], &id); err == nil && f[0] == name {
			return id, nil
		}
	}
	return 0, fmt.Errorf("unknown group %s", name)
}
