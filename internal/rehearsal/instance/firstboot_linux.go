// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// instanceIDFile says which machine the files were last booted as: another ID
// than the machine's makes it a first boot, as with cloud-init.
const instanceIDFile = "/var/lib/rehearsal/instance-id"

// firstBoot gives the machine a name, an id and its login user, unless it has
// them. It says whether it had not.
func firstBoot(spec Spec) (bool, error) {
	if id, err := os.ReadFile(instanceIDFile); err == nil && string(id) == spec.ID {
		return false, nil
	}
	for _, step := range []func(Spec) error{name, login} {
		if err := step(spec); err != nil {
			return false, fmt.Errorf("first boot: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(instanceIDFile), 0o755); err != nil {
		return false, err
	}
	return true, os.WriteFile(instanceIDFile, []byte(spec.ID), 0o644)
}

// name writes the files of the machine's identity.
func name(spec Spec) error {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	hosts := "127.0.0.1 localhost\n" + spec.Address + " " + spec.ID + "\n::1 ip6-localhost ip6-loopback\n"
	return errors.Join(
		os.WriteFile("/etc/machine-id", []byte(hex.EncodeToString(id[:])+"\n"), 0o444),
		os.WriteFile("/etc/hostname", []byte(spec.ID+"\n"), 0o644),
		os.WriteFile("/etc/hosts", []byte(hosts), 0o644),
	)
}

// sudoersFile lets the login user sudo, by the name that cloud-init uses.
const sudoersFile = "/etc/sudoers.d/90-cloud-init-users"

// login makes the user, lets it in by its keys, and lets it sudo.
func login(spec Spec) error {
	a, err := addUser(spec.User)
	if err != nil {
		return err
	}
	if err := addKeys(a, spec.AuthorizedKeys); err != nil {
		return fmt.Errorf("authorizing keys: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(sudoersFile), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(sudoersFile, []byte(spec.User+" ALL=(ALL) NOPASSWD:ALL\n"), 0o440); err != nil {
		return err
	}
	return os.Chmod(sudoersFile, 0o440)
}

// keysFile is where the account's authorized keys are.
func keysFile(a account) string { return filepath.Join(a.home, ".ssh", "authorized_keys") }

// addKeys appends those of the keys that are not there yet.
func addKeys(a account, keys []byte) error {
	file := keysFile(a)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	have, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(have), "\n"), "\n")
	for line := range bytes.Lines(keys) {
		if l := strings.TrimSpace(string(line)); l != "" && !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	content := strings.TrimPrefix(strings.Join(lines, "\n"), "\n") + "\n"
	return errors.Join(
		os.WriteFile(file, []byte(content), 0o600),
		os.Lchown(filepath.Dir(file), a.uid, a.gid),
		os.Lchown(file, a.uid, a.gid),
	)
}

// authorizedKeys is read at each login, for a provisioner may take them away.
func authorizedKeys(user string) ([]byte, error) {
	a, err := findAccount(user)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(keysFile(a))
}

// describe is a wait status in words.
func describe(s unix.WaitStatus) string {
	if s.Signaled() {
		return unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}
