// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// shared are the scripts that start and stop the others, and what those begin with.
//
//go:embed run.sh stop.sh protocol.sh
var shared embed.FS

// Settings are how scripts run on a machine.
type Settings struct {
	// Scripts holds NAME.sh for each Script, and lib.sh if they share functions other
	// than those of protocol.sh.
	Scripts fs.FS
	// Root is the prefix of every installation path.
	Root string
	// Sudo allows sudo.
	Sudo bool
	// Folder is where the scratch folder is created. Default: TMPDIR or /tmp.
	Folder string
}

// New creates the scratch folder, or reuses that of an interrupted run, and uploads
// the shared scripts to it.
func New(ctx context.Context, comm packersdk.Communicator, s Settings) (*Machine, error) {
	m := &Machine{comm: comm, scripts: s.Scripts, root: s.Root, mayRoot: s.Sudo, folder: s.Folder}
	return m, m.connect(ctx)
}

// begin creates the folder. Its name is fixed, so that a second run finds it; it
// must not belong to another user.
const begin = `d=${FOLDER:-${TMPDIR:-/tmp}}/ethminer-gpu-$(id -u)
mkdir -m 700 "$d" 2>/dev/null
if [ ! -d "$d" ] || [ -L "$d" ] || [ ! -O "$d" ]; then
	echo "$d is not a folder of $(id -un)" >&2
	exit 1
fi
printf '@fact work %s\n@fact uid %s\n@fact user %s\n@ok\n' "$d" "$(id -u)" "$(id -un)"`

// connect prepares a machine after each boot.
func (m *Machine) connect(ctx context.Context) error {
	var out, diag bytes.Buffer
	command := begin
	if m.folder != "" {
		command = "FOLDER=" + shellquote.Word(m.folder) + "\n" + begin
	}
	status, err := m.start(ctx, command, "", &out, &diag, nil)
	if err != nil {
		return fmt.Errorf("connecting to the instance: %w", err)
	}
	begun := readAnswer(out.String())
	m.Work, m.User = begun.Fact("work"), begun.Fact("user")
	if status != 0 || !begun.ok || !strings.HasPrefix(m.Work, "/") {
		return fmt.Errorf("creating a scratch folder on the instance: exit code %d: %s; expected a POSIX shell and a writable /tmp", status, strings.TrimSpace(diag.String()))
	}
	m.sudo = m.mayRoot && begun.Fact("uid") != "0"
	for _, name := range []string{"run.sh", "stop.sh", "protocol.sh"} {
		if err := m.uploadFrom(ctx, shared, name); err != nil {
			return err
		}
	}
	if _, err := fs.Stat(m.scripts, "lib.sh"); err == nil {
		return m.UploadOwn(ctx, "lib.sh")
	}
	return nil
}
