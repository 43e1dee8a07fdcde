// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unitDirs are the folders of unit files, in order of precedence.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unitFile contains a unit's settings: those of the file and of its drop-ins.
type unitFile struct {
	name   string // including the instance, such as getty@tty1.service
	path   string // path of the file
	values map[string][]string
}

// loadUnit finds and parses a unit. The error wraps os.ErrNotExist for a missing unit.
func loadUnit(name string) (*unitFile, error) {
	u := &unitFile{name: name, values: map[string][]string{}}
	names := []string{name}
	if prefix, rest, ok := strings.Cut(name, "@"); ok {
		names = append(names, prefix+"@"+filepath.Ext(rest)) // template
	}
	for _, n := range names {
		for _, dir := range unitDirs {
			p := filepath.Join(dir, n)
			if _, err := os.Stat(p); err == nil && u.path == "" {
				u.path = p
			}
		}
	}
	if u.path == "" {
		return nil, fmt.Errorf("unit %s could not be found: %w", name, os.ErrNotExist)
	}
	files := []string{u.path}
	for _, n := range slices.Backward(names) {
		for _, dir := range slices.Backward(unitDirs) {
			dropIns, _ := filepath.Glob(filepath.Join(dir, n+".d", "*.conf")) // fails only for a malformed pattern
			files = append(files, dropIns...)
		}
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if err := u.parse(string(content)); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
	}
	return u, nil
}

// parse adds the settings of a file. An empty value resets the previous ones.
// github.com/coreos/go-systemd/v22/unit parses less than systemd: no comment within a
// continued line, and no line of 2 KiB. It skips settings before the first section.
func (u *unitFile) parse(content string) error {
	section := ""
	lines := strings.Split(content, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			next := strings.TrimSpace(lines[i])
			if strings.HasPrefix(next, "#") || strings.HasPrefix(next, ";") {
				continue // a comment does not end the continuation
			}
			line = strings.TrimSuffix(line, `\`) + " " + next
		}
		if line[0] == '[' && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == "" {
			return fmt.Errorf("line %d: %q is not a setting", i+1, line)
		}
		key = section + "." + strings.TrimSpace(key)
		if value = strings.TrimSpace(value); value == "" {
			delete(u.values, key)
		} else {
			u.values[key] = append(u.values[key], value)
		}
	}
	return nil
}

// get returns the last value of a setting such as Service.Type.
func (u *unitFile) get(key string) string {
	if v := u.values[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// words returns all values of a list setting.
func (u *unitFile) words(key string) []string {
	return strings.Fields(strings.Join(u.values[key], " "))
}

// isTrue reports whether a setting is on.
func (u *unitFile) isTrue(key string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on"}, strings.ToLower(u.get(key)))
}

// instanceName returns the part between the @ and the suffix.
func (u *unitFile) instanceName() string {
	_, rest, _ := strings.Cut(u.name, "@")
	return strings.TrimSuffix(rest, filepath.Ext(rest))
}

// expand replaces the specifiers in a value.
func (u *unitFile) expand(value string) (string, error) {
	if !strings.Contains(value, "%") {
		return value, nil
	}
	base := strings.TrimSuffix(u.name, filepath.Ext(u.name))
	prefix, _, _ := strings.Cut(base, "@")
	host, _ := os.Hostname() // empty on an error
	known := map[byte]string{
		'%': "%", 'n': u.name, 'N': base, 'p': prefix, 'i': u.instanceName(), 'I': u.instanceName(),
		'H': host, 'h': "/root", 'u': "root", 'U': "0", 't': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc", 'T': "/tmp", 'V': "/var/tmp",
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '%' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		i++
		v, ok := known[value[i]]
		if !ok {
			return "", fmt.Errorf("specifier %%%c in %q is not supported", value[i], value)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}
