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
	"sync"
	"time"
)

// services is the machine's service manager, in its first process. It supports only
// services and reports an error for other units.
type services struct {
	family *family

	mu  sync.Mutex
	all map[string]*service
}

func newServices(f *family) *services {
	return &services{family: f, all: map[string]*service{}}
}

// find returns the service of that name, and creates it if necessary.
func (m *services) find(name string) *service {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.all[name]
	if !ok {
		s = &service{family: m.family, name: name, state: "inactive"}
		m.all[name] = s
	}
	return s
}

// start starts a unit after the units that it requires.
func (m *services) start(name string) error { return m.startAfter(name, nil) }

func (m *services) startAfter(name string, pulledBy []string) error {
	if slices.Contains(pulledBy, name) {
		return nil // dependency cycle
	}
	if masked(name) {
		return fmt.Errorf("unit %s is masked", name)
	}
	u, err := loadUnit(name)
	if err != nil {
		return err
	}
	pulledBy = append(pulledBy, name)
	for _, setting := range []string{"Unit.Requires", "Unit.BindsTo", "Unit.Wants"} {
		for _, other := range u.words(setting) {
			if filepath.Ext(other) == ".target" {
				continue // every target counts as reached
			}
			err := errors.New("only services are supported")
			if filepath.Ext(other) == ".service" {
				err = m.startAfter(other, pulledBy)
			}
			if err != nil && setting != "Unit.Wants" {
				return fmt.Errorf("%s requires %s: %w", name, other, err)
			}
		}
	}
	if err := os.MkdirAll(logDir, 0o755); err != nil {
		return err
	}
	return m.find(name).start(u)
}

// startEnabled starts the services that a boot wants, ordered by After and Before.
func (m *services) startEnabled() {
	var names []string
	for _, target := range []string{"sysinit", "basic", "network", "network-online", "multi-user", "default", "graphical", "cloud-init"} {
		for _, kind := range []string{"wants", "requires"} {
			links, _ := filepath.Glob(fmt.Sprintf("/etc/systemd/system/%s.target.%s/*.service", target, kind))
			for _, l := range links {
				if n := filepath.Base(l); !slices.Contains(names, n) && !masked(n) {
					names = append(names, n)
				}
			}
		}
	}
	for _, n := range inOrder(names) {
		_ = m.start(n) // its log contains the error; the boot continues
	}
}

// inOrder sorts units so that each one follows the units in its After.
func inOrder(names []string) []string {
	after := map[string][]string{}
	for _, n := range names {
		u, err := loadUnit(n)
		if err != nil {
			continue
		}
		after[n] = append(after[n], u.words("Unit.After")...)
		for _, b := range u.words("Unit.Before") {
			after[b] = append(after[b], n)
		}
	}
	var out []string
	seen := map[string]bool{}
	var visit func(n string)
	visit = func(n string) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, a := range after[n] {
			if slices.Contains(names, a) {
				visit(a)
			}
		}
		out = append(out, n)
	}
	slices.Sort(names)
	for _, n := range names {
		visit(n)
	}
	return out
}

// stopAll stops all services concurrently, within grace.
func (m *services) stopAll() {
	m.mu.Lock()
	all := make([]*service, 0, len(m.all))
	for _, s := range m.all {
		all = append(all, s)
	}
	m.mu.Unlock()
	var stops sync.WaitGroup
	for _, s := range all {
		stops.Go(func() { _ = s.stop(stopTimeout) })
	}
	done := make(chan struct{})
	go func() {
		stops.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(stopTimeout):
	}
}

// etcUnits is the folder in which enable and mask create links.
const etcUnits = "/etc/systemd/system"

// masked reports whether the unit is a link to /dev/null.
func masked(name string) bool {
	target, err := os.Readlink(filepath.Join(etcUnits, name))
	return err == nil && target == os.DevNull
}

// enablement returns the output of systemctl is-enabled.
func enablement(name string) (string, error) {
	if masked(name) {
		return "masked", nil
	}
	u, err := loadUnit(name)
	if err != nil {
		return "", err
	}
	links, _ := filepath.Glob(filepath.Join(etcUnits, "*.*", name)) // fails only for a malformed pattern
	for _, l := range links {
		if _, err := os.Readlink(l); err == nil {
			return "enabled", nil
		}
	}
	for _, a := range u.words("Install.Alias") {
		if target, err := os.Readlink(filepath.Join(etcUnits, a)); err == nil && filepath.Base(target) == name {
			return "enabled", nil
		}
	}
	for _, key := range []string{"WantedBy", "RequiredBy", "Alias", "Also"} {
		if len(u.words("Install."+key)) > 0 {
			return "disabled", nil
		}
	}
	return "static", nil
}

// enable creates the links of the unit's [Install] section and returns messages about
// them.
func enable(name string) (messages []string, err error) {
	return installAll(name, nil)
}

func installAll(name string, seen []string) (messages []string, err error) {
	if slices.Contains(seen, name) {
		return nil, nil
	}
	if masked(name) {
		return nil, fmt.Errorf("unit file %s is masked", filepath.Join(etcUnits, name))
	}
	u, err := loadUnit(name)
	if err != nil {
		return nil, err
	}
	links := u.links()
	if len(links) == 0 && len(u.words("Install.Also")) == 0 {
		return []string{"The unit files have no installation config (WantedBy=, RequiredBy=, Also=, Alias=): nothing to enable."}, nil
	}
	for _, l := range links {
		if have, err := os.Readlink(l); err == nil && have == u.path {
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(l), 0o755), os.RemoveAll(l)); err != nil {
			return messages, err
		}
		if err := os.Symlink(u.path, l); err != nil {
			return messages, err
		}
		messages = append(messages, fmt.Sprintf("Created symlink %s → %s.", l, u.path))
	}
	for _, also := range u.words("Install.Also") {
		more, err := installAll(also, append(seen, name))
		messages = append(messages, more...)
		if err != nil {
			return messages, err
		}
	}
	return messages, nil
}

// links returns the links that enable creates.
func (u *unitFile) links() []string {
	var links []string
	for key, suffix := range map[string]string{"WantedBy": ".wants", "RequiredBy": ".requires"} {
		for _, by := range u.words("Install." + key) {
			links = append(links, filepath.Join(etcUnits, by+suffix, u.name))
		}
	}
	for _, a := range u.words("Install.Alias") {
		links = append(links, filepath.Join(etcUnits, a))
	}
	slices.Sort(links)
	return links
}

// disable removes every link to the unit and returns messages about them.
func disable(name string) (messages []string, err error) {
	if _, err := loadUnit(name); err != nil && !masked(name) {
		return nil, err
	}
	links, _ := filepath.Glob(filepath.Join(etcUnits, "*.*", name)) // fails only for a malformed pattern
	top, _ := filepath.Glob(filepath.Join(etcUnits, "*.*"))
	for _, l := range top {
		if target, err := os.Readlink(l); err == nil && filepath.Base(target) == name && filepath.Base(l) != name {
			links = append(links, l) // alias
		}
	}
	for _, l := range links {
		if _, err := os.Readlink(l); err != nil {
			continue // such as a drop-in directory
		}
		if err := os.Remove(l); err != nil {
			return messages, err
		}
		messages = append(messages, fmt.Sprintf("Removed %q.", l))
	}
	return messages, nil
}

// mask links the unit to /dev/null, or removes that link if on is false.
func mask(name string, on bool) (messages []string, err error) {
	link := filepath.Join(etcUnits, name)
	switch {
	case masked(name) == on:
		return nil, nil
	case !on:
		return []string{fmt.Sprintf("Removed %q.", link)}, os.Remove(link)
	}
	if _, err := os.Lstat(link); err == nil {
		return nil, fmt.Errorf("file %s already exists", link)
	}
	return []string{fmt.Sprintf("Created symlink %s → /dev/null.", link)}, os.Symlink(os.DevNull, link)
}

// preset reports whether the distribution enables the unit by default.
func preset(name string) bool {
	byName := map[string]string{} // the first directory takes precedence
	for _, dir := range []string{"/etc/systemd/system-preset", "/run/systemd/system-preset", "/usr/lib/systemd/system-preset", "/lib/systemd/system-preset"} {
		files, _ := filepath.Glob(filepath.Join(dir, "*.preset"))
		for _, f := range files {
			if _, ok := byName[filepath.Base(f)]; !ok {
				byName[filepath.Base(f)] = f
			}
		}
	}
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		content, err := os.ReadFile(byName[n])
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			if w := strings.Fields(line); len(w) >= 2 {
				if ok, _ := filepath.Match(w[1], name); ok && (w[0] == "enable" || w[0] == "disable") {
					return w[0] == "enable"
				}
			}
		}
	}
	return true
}
