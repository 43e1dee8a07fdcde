// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fingerprint hashes the content and the metadata of the files in directories.
func fingerprint(t *testing.T, dirs ...string) string {
	t.Helper()
	h := sha256.New()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintln(h, p, info.Mode(), info.Size(), info.ModTime().UnixNano())
			if info.Mode().IsRegular() {
				b, err := os.ReadFile(p)
				if err != nil {
					return err
				}
				_, _ = h.Write(b)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return string(h.Sum(nil))
}

// Root in a machine cannot change the host's files.
func TestHostUntouched(t *testing.T) {
	requireSandbox(t)
	dirs := []string{"/etc", "/usr/local/bin", "/usr/local/sbin"}
	before := fingerprint(t, dirs...)
	g := newSite(t).start()
	g.run(`sudo sh -c '
		touch /usr/local/bin/rehearsed /etc/rehearsed
		echo x >>/etc/passwd; rm -rf /etc/ssl /etc/apt /usr/bin/ls; chmod 000 /etc; chown 1:1 /usr/local/bin
		userdel root; echo 1 >/proc/sys/vm/drop_caches; echo b >/proc/sysrq-trigger; hostname changed; date -s 2001-01-01; true' >/dev/null 2>&1`)
	if after := fingerprint(t, dirs...); after != before {
		t.Error("the host's files changed")
	}
	if _, err := os.Lstat("/usr/local/bin/rehearsed"); err == nil {
		t.Error("the host has a file of the machine")
	}
	if _, err := os.Lstat("/usr/bin/ls"); err != nil {
		t.Error("a file of the host was deleted")
	}
	if host, _ := os.Hostname(); host == "changed" {
		t.Error("the host name changed")
	}
}

// Root in a machine cannot affect the host.
func TestRootIsLimited(t *testing.T) {
	g := newSite(t).start()
	for _, command := range []string{
		"sudo mknod /disk b 8 0 && sudo head -c1 /disk",
		"sudo mknod /disk2 b 254 0 && sudo head -c1 /disk2",
		"sudo mknod /dev/disk b 8 0 && sudo head -c1 /dev/disk",
		"sudo mknod /run/mem c 1 1 && sudo head -c1 /run/mem",
		"sudo sh -c 'mount -t tmpfs none /mnt && mknod /mnt/disk b 254 0'",
		"sudo sh -c 'echo 1 >/proc/sys/kernel/panic'",
		"sudo sh -c 'echo b >/proc/sysrq-trigger'",
		"sudo sh -c 'echo 1 >/sys/kernel/uevent_seqnum'",
		"sudo sh -c 'echo x >/sys/kernel/mm/transparent_hugepage/enabled'",
		"sudo sh -c 'mount -o remount,rw /proc/sys; echo 1 >/proc/sys/kernel/panic'",
		"sudo sh -c 'umount /proc/sys; echo 1 >/proc/sys/kernel/panic'",
		"sudo sh -c 'mkdir -p /mnt/p && mount -t proc proc /mnt/p && echo 1 >/mnt/p/sys/kernel/panic'",
		"sudo sh -c 'mkdir -p /mnt/s && mount -t sysfs sysfs /mnt/s && echo x >/mnt/s/kernel/mm/transparent_hugepage/enabled'",
		"sudo unshare --mount sh -c 'umount -R /proc/sys && echo 1 >/proc/sys/kernel/panic'",
		"sudo head -c1 /dev/vda",
		"sudo perl -e 'kill(0, " + strconv.Itoa(os.Getpid()) + ") or exit 1'",
		"sudo date -s 2001-01-01",
		perl(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, -4, 0), // of the user
		perl(unix.SYS_BPF, 0, 0, 0),
		perl(unix.SYS_OPEN_BY_HANDLE_AT, -1, 0, 0),
		perl(unix.SYS_INIT_MODULE, 0, 0, 0),
	} {
		if o := g.try(command, ""); o.status == 0 {
			t.Errorf("%s: succeeded with output %s", command, o.stdout)
		}
	}
}

// perl returns a command that fails if the system call fails.
func perl(call int, args ...int) string {
	words := strconv.Itoa(call)
	for _, a := range args {
		words += ", " + strconv.Itoa(a)
	}
	return "sudo perl -e 'exit(syscall(" + words + ") == -1)'"
}

// Root in a machine cannot connect to the host's Unix sockets.
func TestHostSocketsHidden(t *testing.T) {
	requireSandbox(t)
	dir, err := os.MkdirTemp("/var/lib", "rehearsal-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "socket")
	for _, address := range []string{file, "@rehearsal-test-host"} {
		l, err := net.Listen("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
	}
	if err := os.Chmod(file, 0o777); err != nil {
		t.Fatal(err)
	}
	g := newSite(t).start()
	g.run("test -S " + file) // otherwise this proves nothing
	const connect = `use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un("%s")) or exit 1`
	for _, address := range []string{file, `\0rehearsal-test-host`} {
		if o := g.try("sudo perl -e '"+fmt.Sprintf(connect, address)+"'", ""); o.status == 0 {
			t.Errorf("%s: connected to the host", address)
		}
	}
	// The machine's own sockets work, also across sessions.
	g.run(`perl -e 'use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_un("\0mine")) or die $!; listen($s, 1); sleep 60' >/dev/null 2>&1 &
		for i in 1 2 3 4 5 6 7 8 9; do grep -q @mine /proc/net/unix && break; sleep 0.2; done`)
	g.run("sudo perl -e '" + fmt.Sprintf(connect, `\0mine`) + "'")
}

// A machine does not contain the host's secrets.
func TestSecretsHidden(t *testing.T) {
	requireSandbox(t)
	const secret = "planted-5c1f8e"
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	odd, err := os.MkdirTemp("/var/lib", "rehearsal-test-") // a home outside /home
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(odd) })
	t.Setenv("XDG_CONFIG_HOME", odd)
	shared, err := os.MkdirTemp("/var/lib", "rehearsal-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shared) })
	if err := os.Chmod(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]fs.FileMode{
		filepath.Join(home, "credentials"):      0o644,
		filepath.Join(odd, "open"):              0o644,
		filepath.Join(shared, "key"):            0o600,
		filepath.Join(t.TempDir(), "x"):         0o644,
		filepath.Join("/var/tmp", secret+".t"):  0o644,
		filepath.Join("/root", secret+".t"):     0o644,
		filepath.Join("/dev/shm", secret+".t"):  0o644,
		filepath.Join("/run", secret+".t"):      0o644,
		filepath.Join("/etc", secret+".secret"): 0o600,
	}
	for name, mode := range files {
		if err := os.WriteFile(name, []byte(secret), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(name) })
	}
	if err := os.WriteFile(filepath.Join(shared, "public"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	g := newSite(t).start()
	for name := range files {
		if o := g.try("sudo ls -d "+name, ""); o.status == 0 {
			t.Errorf("%s exists", name)
		}
	}
	g.run("test -e " + filepath.Join(shared, "public")) // otherwise the loop above proves nothing
	for what, command := range map[string]string{
		"checkout":                 "sudo ls -A " + wd,
		"files":                    "sudo grep -rsl " + secret[:8] + "-" + secret[8:] + " /etc /home /root /run /tmp /var/tmp /var/lib /dev/shm",
		"environment":              "env | grep " + secret,
		"environment of root":      "sudo env | grep " + secret,
		"environment of processes": "sudo sh -c 'cat /proc/[0-9]*/environ 2>/dev/null' | grep -a " + secret[:5] + "'" + secret[5:] + "'",
		"password":                 "sudo cut -d: -f2 /etc/shadow | grep -v '^[*!]*$'",
		"host keys":                "sudo ls /etc/ssh/ssh_host_rsa_key",
	} {
		if o := g.try(command, ""); strings.TrimSpace(o.stdout) != "" {
			t.Errorf("%s: found %s", what, o.stdout)
		}
	}
	if out := g.run("ps -eo args"); strings.Contains(out, filepath.Base(os.Args[0])) {
		t.Errorf("processes of the host are visible:\n%s", out)
	}
}
