// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Stand-ins for a GPU: a device that works as /dev/null does, and a folder of a driver.
const (
	standInDevice = "/dev/nvidia-rehearsal-test"
	standInDriver = "/usr/local/nvidia-rehearsal-test"
)

// inMountNamespace runs the test again in a process with mounts of its own, where it
// reports true. Other tests, which run at the same time, do not see the stand-ins.
func inMountNamespace(t *testing.T) bool {
	t.Helper()
	const variable = "REHEARSAL_TEST_MOUNTS"
	if os.Getenv(variable) == t.Name() {
		return true
	}
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), variable+"="+t.Name())
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Skipf("SKIPPED: %s", out)
	}
	return false
}

// addStandIns adds the stand-ins to this process's mounts.
func addStandIns(t *testing.T) {
	t.Helper()
	scratch := t.TempDir()
	if err := unix.Mount("rehearsal", scratch, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	upper, work := filepath.Join(scratch, "upper"), filepath.Join(scratch, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(filepath.Join(upper, filepath.Base(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("rehearsal", "/dev", "overlay", 0, "lowerdir=/dev,upperdir="+upper+",workdir="+work); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(standInDevice, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(standInDevice, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(standInDriver, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("rehearsal", standInDriver, "tmpfs", 0, "mode=777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.Unmount(standInDriver, unix.MNT_DETACH), os.Remove(standInDriver), unix.Unmount("/dev", unix.MNT_DETACH), unix.Unmount(scratch, unix.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(standInDriver, "version"), []byte("580.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// minerUnit is a unit with the sandbox of ethminer.service, in which a user writes to
// and reads from the device.
const minerUnit = `[Service]
Type=oneshot
User=miner
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
ExecStart=/bin/sh -c 'id -un; test -c ` + standInDevice + ` && echo x >` + standInDevice + ` && wc -c <` + standInDevice + ` && cat ` + standInDriver + `/version'
`

// A machine has the host's GPUs and their driver, also in the sandbox of the miner's
// unit. A unit whose settings would hide the GPU on EC2 fails.
func TestGPU(t *testing.T) {
	requireSandbox(t)
	if !inMountNamespace(t) {
		return
	}
	addStandIns(t)
	g := newSite(t).start()
	g.run("sudo useradd --system miner")
	start := func(name, more string) (outcome, string) {
		g.t.Helper()
		if o := g.try("sudo tee /etc/systemd/system/"+name+".service >/dev/null && sudo systemctl daemon-reload", minerUnit+more); o.status != 0 {
			t.Fatalf("%+v", o)
		}
		o := g.try("sudo systemctl start "+name, "")
		return o, g.run("sudo journalctl --no-pager -o cat -u " + name)
	}
	if got := g.run("stat -c '%F %a' " + standInDevice + "; cat " + standInDriver + "/version"); got != "character special file 666\n580.1" {
		t.Errorf("the machine has %q", got)
	}
	if o := g.try("sudo touch "+standInDriver+"/x", ""); o.status == 0 {
		t.Error("the machine can change the host's driver")
	}
	for name, c := range map[string]struct {
		settings, hides string // hides is the setting that hides the GPU, if any
	}{
		"like-the-miner":      {"", ""},
		"closed-but-allowed":  {"DevicePolicy=closed\nDeviceAllow=" + standInDevice + " rw\n", ""},
		"no-private-devices":  {"PrivateDevices=no\nProtectClock=no\nDevicePolicy=auto\n", ""},
		"strict":              {"DevicePolicy=strict\n", "DevicePolicy=strict"},
		"closed":              {"DevicePolicy=closed\n", "DevicePolicy=closed"},
		"strict-for-others":   {"DevicePolicy=strict\nDeviceAllow=/dev/null rw\n", "DevicePolicy=strict"},
		"private-devices":     {"PrivateDevices=yes\n", "PrivateDevices=yes"},
		"private-but-allowed": {"PrivateDevices=yes\nDeviceAllow=" + standInDevice + " rw\n", "PrivateDevices=yes"},
		"clock":               {"ProtectClock=yes\n", "ProtectClock=yes"},
	} {
		o, journal := start(name, c.settings)
		want := "miner\n0\n580.1\n"
		if c.hides != "" {
			want = c.hides + " of this unit leaves out /dev/nvidia*; on EC2 it does not reach the GPU"
		}
		if (o.status == 0) != (c.hides == "") || !strings.Contains(journal, want) {
			t.Errorf("%s: got status %d and journal\n%s\nwant %q", name, o.status, journal, want)
		}
	}
	if o := g.try("sudo tee /etc/systemd/system/other.service >/dev/null && sudo systemctl daemon-reload && sudo systemctl start other", "[Service]\nType=oneshot\nPrivateDevices=yes\nExecStart=/bin/true\n"); o.status != 0 {
		t.Errorf("a unit that needs no GPU does not start: %+v", o)
	}
}
