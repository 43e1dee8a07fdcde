// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fingerprint is the content and the metadata of a directory's files.
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

// Whatever root does in a machine, the host keeps its files.
func TestHostUntouched(t *testing.T) {
	needSandbox(t)
	dirs := []string{"/etc", "/usr/local/bin", "/usr/local/sbin"}
	before := fingerprint(t, dirs...)
	g := newSite(t).start()
	g.run(`sudo sh -c '
		touch /usr/local/bin/rehearsed /etc/rehearsed
		echo x >>/etc/passwd; rm -rf /etc/ssl /etc/apt /usr/bin/ls; chmod 000 /etc; chown 1:1 /usr/local/bin
		userdel root; echo 1 >/proc/sys/vm/drop_caches; echo b >/proc/sysrq-trigger; hostname changed; date -s 2001-01-01; true' >/dev/null 2>&1`)
	if after := fingerprint(t, dirs...); after != before {
		t.Error("the host's files have changed")
	}
	if _, err := os.Lstat("/usr/local/bin/rehearsed"); err == nil {
		t.Error("a file of the machine is on the host")
	}
	if _, err := os.Lstat("/usr/bin/ls"); err != nil {
		t.Error("a file of the host is gone")
	}
	if host, _ := os.Hostname(); host == "changed" {
		t.Error("the host has another name")
	}
}

// What a machine must not do, its root can't.
func TestRootIsLimited(t *testing.T) {
	g := newSite(t).start()
	for _, command := range []string{
		"sudo mount -t tmpfs none /mnt",
		"sudo mknod /disk b 8 0 && sudo head -c1 /disk",
		"sudo mknod /disk2 b 254 0 && sudo head -c1 /disk2",
		"sudo unshare -m true",
		"sudo sh -c 'echo 1 >/proc/sys/kernel/panic'",
		"sudo sh -c 'echo 1 >/sys/kernel/uevent_seqnum'",
		"sudo dmesg",
		"sudo ls /proc/1/root/",
		"sudo cat /proc/1/environ",
		"sudo ip link set lo mtu 60000",
		"sudo nsenter -t 1 -m true",
	} {
		if o := g.try(command, ""); o.status == 0 {
			t.Errorf("%s: succeeded: %s", command, o.stdout)
		}
	}
}

// No secret of the host is seen, however it is looked for.
func TestSecretsAreMasked(t *testing.T) {
	needSandbox(t)
	const secret = "planted-5c1f8e"
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	odd, err := os.MkdirTemp("/var/lib", "rehearsal-test-") // a home away from /home
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
			t.Errorf("%s is there", name)
		}
	}
	g.run("test -e " + filepath.Join(shared, "public")) // or the above shows nothing
	for what, command := range map[string]string{
		"the checkout":    "sudo ls -A " + wd,
		"the files":       "sudo grep -rsl " + secret[:8] + "-" + secret[8:] + " /etc /home /root /run /tmp /var/tmp /var/lib /dev/shm",
		"the environment": "env | grep " + secret,
		"root's":          "sudo env | grep " + secret,
		"of processes":    "sudo sh -c 'cat /proc/[0-9]*/environ 2>/dev/null' | grep -a " + secret[:5] + "'" + secret[5:] + "'",
		"a password":      "sudo cut -d: -f2 /etc/shadow | grep -v '^[*!]*$'",
		"host keys":       "sudo ls /etc/ssh/ssh_host_rsa_key",
	} {
		if o := g.try(command, ""); strings.TrimSpace(o.stdout) != "" {
			t.Errorf("%s: seen: %s", what, o.stdout)
		}
	}
	for _, line := range strings.Split(g.run("ps -eo args"), "\n")[1:] {
		if !strings.HasPrefix(line, "packer-plugin-ethminer rehearsal-init") && line != "ps -eo args" {
			t.Errorf("a process that is not the machine's: %s", line)
		}
	}
}
