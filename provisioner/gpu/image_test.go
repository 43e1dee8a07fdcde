// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// unitRoot returns a root folder with the units and the programs that they refer to.
func unitRoot(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("SKIPPED: needs systemd-analyze: apt-get install systemd")
	}
	root := t.TempDir()
	for _, name := range []string{"bin/ethminer", "lib/ethminer/config", "lib/ethminer/health", "lib/ethminer/metrics", "lib/ethminer/signal", "lib/ethminer/spot", "lib/ethminer/wait-gpu"} {
		path := "/usr/local/" + name
		write(t, root+path, "#!/bin/sh\n")
		if err := os.Chmod(root+path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	units, err := filepath.Glob("scripts/image/*.*er*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range units {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "etc/systemd/system", filepath.Base(file)), string(data))
	}
	// Programs of every system.
	if err := os.MkdirAll(root+"/usr/lib/systemd", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
		if _, err := os.Stat(dir); err == nil {
			if err := os.CopyFS(root+"/usr/lib/systemd/system", os.DirFS(dir)); err == nil {
				break
			}
		}
	}
	return root
}

// TestSandboxIsDocumented: docs/service.md documents the effect of each sandbox option on
// the GPU, and the unit uses none that hides it.
func TestSandboxIsDocumented(t *testing.T) {
	unit, err := os.ReadFile("scripts/image/ethminer.service")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/service.md")
	if err != nil {
		t.Fatal(err)
	}
	used, hiding, ok := strings.Cut(string(doc), "These options are not used")
	if !ok {
		t.Fatal("docs/service.md has no list of options that are not used")
	}
	_, service, _ := strings.Cut(string(unit), "[Service]\n")
	service, _, _ = strings.Cut(service, "\n[")
	sandbox := false
	for line := range strings.Lines(service) {
		line = strings.TrimSpace(line)
		sandbox = sandbox || strings.HasPrefix(line, "UMask=")
		if !sandbox || line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, "=")
		if !strings.Contains(used, "| `"+line+"` |") {
			t.Errorf("docs/service.md does not explain %s", line)
		}
		if strings.Contains(hiding, "`"+name+"=") {
			t.Errorf("ethminer.service uses %s, which docs/service.md says hides the GPU", name)
		}
	}
	if !sandbox {
		t.Error("ethminer.service has no sandbox")
	}
}

// TestUnitsAreValidAndHardened uses systemd-analyze.
func TestUnitsAreValidAndHardened(t *testing.T) {
	root := unitRoot(t)
	for unit, most := range map[string]float64{
		"ethminer.service": 4.5, "ethminer-config.service": 7.5, "ethminer-metrics.service": 5,
		"ethminer-spot.service": 5, "ethminer-signal.service": 7.5, "ethminer-health.service": 7.5,
	} {
		out, err := exec.Command("systemd-analyze", "verify", "--root="+root, root+"/etc/systemd/system/"+unit).CombinedOutput()
		if err != nil || strings.Contains(string(out), unit) {
			t.Errorf("verify %s: %v\n%s", unit, err, out)
		}
		out, _ = exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--root="+root, unit).CombinedOutput()
		found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(string(out))
		if found == nil {
			t.Errorf("security %s: got no exposure:\n%s", unit, out)
			continue
		}
		if exposure, _ := strconv.ParseFloat(found[1], 64); exposure > most {
			t.Errorf("%s: got exposure %v, want %v or less", unit, exposure, most)
		}
	}
}
