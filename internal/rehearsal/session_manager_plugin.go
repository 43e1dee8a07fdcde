// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// SessionManagerPlugin returns a folder in the state folder that contains the program
// session-manager-plugin: this binary instead of AWS's.
func SessionManagerPlugin(stateDir string) (folder string, err error) {
	o, err := Options{StateDir: stateDir}.withDefaults()
	if err != nil {
		return "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("creating session-manager-plugin: %w", err)
	}
	folder = filepath.Join(o.StateDir, "bin")
	if err := makeStateDir(folder); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(folder, ".plugin-*")
	if err != nil {
		return "", fmt.Errorf("creating session-manager-plugin: %w", err)
	}
	_, err = fmt.Fprintf(f, "#!/bin/sh\nexec %s rehearsal-session \"$@\"\n", shellquote.Quote(exe))
	err = errors.Join(err, f.Chmod(0o755), f.Close())
	if err == nil {
		giveToSudoUser(f.Name())
		err = os.Rename(f.Name(), filepath.Join(folder, "session-manager-plugin")) // another build may be executing it
	}
	if err != nil {
		return "", fmt.Errorf("creating session-manager-plugin: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return folder, nil
}
