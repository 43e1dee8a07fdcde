// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// Local logs of failures are written to a folder that the tests remove.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ethminer-gpu-test-")
	if err != nil {
		panic(err)
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// localInstance uses this machine as the instance: /bin/sh runs commands in a separate
// session, as over SSH, and files are installed below root.
type localInstance struct {
	packersdk.MockCommunicator
	dir, root, tmp, path string

	// rewrite, if set, changes a command on its way.
	rewrite func(command string) string
	// imds is the metadata service's address.
	imds string
	// down, if set, may refuse a command.
	down func(command string) error
	// refuse, if set, is the error of every command.
	refuse error
}

// newInstance puts programs, POSIX scripts by name, first in PATH.
func newInstance(t *testing.T, programs map[string]string) *localInstance {
	t.Helper()
	dir := t.TempDir()
	in := &localInstance{dir: dir, root: filepath.Join(dir, "root"), tmp: filepath.Join(dir, "tmp")}
	bin := filepath.Join(dir, "bin")
	for _, folder := range []string{in.root, in.tmp, bin} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range programs {
		write(t, filepath.Join(bin, name), "#!/bin/sh\n"+text)
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(in.root, "etc/os-release"), "ID=debian\nVERSION_ID=12\n")
	// Location of the runtime in Debian's CUDA packages.
	write(t, filepath.Join(in.root, "usr/include/cuda_runtime.h"), "")
	write(t, filepath.Join(in.root, "usr/lib/x86_64-linux-gnu/libcudart_static.a"), "")
	in.path = bin + ":" + os.Getenv("PATH")
	return in
}

// nvcc is a stand-in compiler that prints version 12.9 and compiles nothing.
func nvcc() string {
	return "echo 'Cuda compilation tools, release 12.9, V12.9.41'\n"
}

func (in *localInstance) Start(_ context.Context, cmd *packersdk.RemoteCmd) error {
	if in.refuse != nil {
		return in.refuse
	}
	command := cmd.Command
	if in.down != nil {
		if err := in.down(command); err != nil {
			return err
		}
	}
	if in.rewrite != nil {
		command = in.rewrite(command)
	}
	c := exec.Command("/bin/sh", "-c", command)
	c.Env = []string{"PATH=" + in.path, "TMPDIR=" + in.tmp, "HOME=" + in.tmp}
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		_ = c.Wait()
		status := c.ProcessState.ExitCode()
		if status < 0 {
			status = packersdk.CmdDisconnect
		}
		cmd.SetExited(status)
	}()
	return nil
}

func (in *localInstance) Upload(path string, data io.Reader, _ *os.FileInfo) error {
	if !strings.HasPrefix(path, in.tmp) {
		return errors.New("upload outside the scratch folder: " + path)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, data)
	return errors.Join(err, file.Close())
}

func (in *localInstance) installed(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(in.root + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// scratch returns the remaining files in the instance's temporary folder.
func (in *localInstance) scratch(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(in.tmp)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// tools are stand-ins: a cmake that copies miner.sh from the source or fails with the
// content of compile.err and configure.err, a systemctl that records its arguments,
// and no GPU.
func tools() map[string]string {
	return map[string]string{
		"cmake": `
while [ "$1" = -G ]; do shift 2; done
case "$1" in
-S)
	src=$2 build=$4
	printf '%s\n' "$@" >"$TMPDIR/../cmake-options"
	[ ! -f "$src/configure.err" ] || { cat "$src/configure.err" >&2; exit 1; }
	echo "$src" >"$build/src"
	;;
--build)
	src=$(cat "$2/src")
	case "$*" in *"--target help"*) echo "... ethminer"; exit ;; esac
	[ ! -f "$src/compile.err" ] || { sed "s|SRC|$src|g" "$src/compile.err" >&2; exit 2; }
	mkdir -p "$2/ethminer"
	cp "$src/miner.sh" "$2/ethminer/ethminer"
	chmod 755 "$2/ethminer/ethminer"
	;;
esac
`,
		"systemctl":  `echo "$@" >>"$TMPDIR/../systemctl"` + "\n",
		"nvidia-smi": "exit 9\n",
	}
}

// cpuMiner prints a rate of 412.30 h ten times per second until it is stopped.
const cpuMiner = `#!/bin/sh
if [ "$1" = -V ]; then echo "ethminer 0.19.0 (reference miner)"; exit; fi
echo "$@" >"$TMPDIR/../miner-args"
trap 'echo interrupted >>"$TMPDIR/../miner-end"; exit 0' INT TERM
while :; do
	echo " m 16:39:20 ethminer 0:00 A1 412.30 h - cp0 412.30"
	sleep 0.1
done
`

// minerSource returns a source whose build produces the given miner.
func minerSource(t *testing.T, minerScript string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "CMakeLists.txt"), "project(ethminer)\n")
	write(t, filepath.Join(dir, "miner.sh"), minerScript)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// notes returns the content of a file that the stand-ins wrote, or "".
func (in *localInstance) notes(name string) string {
	data, _ := os.ReadFile(filepath.Join(in.dir, name))
	return string(data)
}
