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

// instanceIDFile contains the id of the machine that last booted these files. A
// different id means a first boot, as in cloud-init.
const instanceIDFile = "/var/lib/rehearsal/instance-id"

// firstBoot sets up the machine's name, id and login user on its first boot. It reports
// whether this is the first boot.
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

// sudoersFile allows the login user to use sudo; cloud-init uses the same name.
const sudoersFile = "/etc/sudoers.d/90-cloud-init-users"

// login creates the user, authorizes its keys, and allows it to use sudo.
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

// keysFile returns the path of the account's authorized keys.
func keysFile(a account) string { return filepath.Join(a.home, ".ssh", "authorized_keys") }

// addKeys appends the keys that the file lacks.
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

// authorizedKeys is called for each login, since a provisioner can remove keys.
func authorizedKeys(user string) ([]byte, error) {
	a, err := findAccount(user)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(keysFile(a))
}

// describe formats a wait status.
func describe(s unix.WaitStatus) string {
	if s.Signaled() {
		return unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}
