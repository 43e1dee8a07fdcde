// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// disk returns a loop device on an empty file, as a stand-in for an unused
// instance-store disk.
func disk(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 64<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED: needs a loop device: %s", out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return device
}

// TestScratchAvoidsRootVolume uses real mounts, in a mount namespace that ends with
// the script.
func TestScratchAvoidsRootVolume(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to mount")
	}
	unused, used := disk(t), disk(t)
	if out, err := exec.Command("mkfs.ext4", "-q", used).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before, err := exec.Command("blkid", "-p", used).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		disks []string
		want  []string
	}{
		{"no disk: memory", nil, []string{"@fact scratch memory", "tmpfs"}},
		{"an unused disk", []string{unused}, []string{"@fact scratch instance store " + unused, "ext2/ext3"}},
		{"a disk in use is not touched", []string{used}, []string{"@fact scratch memory", "tmpfs"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			work := t.TempDir()
			for _, file := range []string{"../../internal/remote/protocol.sh", "scripts/lib.sh", "scripts/scratch.sh"} {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(work, filepath.Base(file)), string(data))
			}
			script := append([]string{"--mount", "sh", "-c", `sh "$WORK/scratch.sh" "$@" && stat -f -c %T "$WORK/scratch" && stat -c %U "$WORK/scratch"`, "sh", "10", "nobody"}, test.disks...)
			cmd := exec.Command("unshare", script...)
			cmd.Env = append(os.Environ(), "WORK="+work, "ETHMINER_ROOT=")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, part := range append(test.want, "nobody", "@ok") {
				if !strings.Contains(string(out), part) {
					t.Errorf("got output without %q:\n%s", part, out)
				}
			}
		})
	}
	if after, err := exec.Command("blkid", "-p", used).Output(); err != nil || string(after) != string(before) {
		t.Errorf("the disk that was in use has changed: %s, before %s, %v", after, before, err)
	}
}
