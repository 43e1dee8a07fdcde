// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// snapshot returns every file below a folder with its size, mode and time.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && !entry.IsDir() {
			fmt.Fprintln(&all, path, info.Size(), info.Mode(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestSecondRunChangesNothing(t *testing.T) {
	in := newInstance(t, tools())
	options := map[string]any{"source": minerSource(t, cpuMiner)}
	start := time.Now()
	said, err := provision(t, t.Context(), in, options)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	first := time.Since(start)
	before, asked := snapshot(t, in.root), in.notes("systemctl")

	start = time.Now()
	said, err = provision(t, t.Context(), in, options)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if second := time.Since(start); second > first/5 {
		t.Errorf("got %s for the second run, want a fifth of the first's %s or less", second, first)
	}
	if after := snapshot(t, in.root); after != before {
		t.Errorf("the second run changed\n%s\nto\n%s", before, after)
	}
	if in.notes("systemctl") != asked {
		t.Error("got another systemctl call, want none")
	}
	for _, p := range plan[1:] {
		if p.asked == nil && !strings.Contains(said, p.name+": already done, nothing has changed") {
			t.Errorf("%s ran again:\n%s", p.name, said)
		}
	}
	if !strings.Contains(said, "hash rate: 412.3 h/s (CPU: ") {
		t.Errorf("got output of the second run without the rate:\n%s", said)
	}
	if left := in.scratch(t); len(left) > 0 {
		t.Errorf("got leftover files %q, want none", left)
	}
}

// TestChangesRerunPhases: exactly the phases that depend on a change run again.
func TestChangesRerunPhases(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, in *localInstance, options map[string]any)
		first  string // first phase that runs again
	}{
		{"the source", func(t *testing.T, _ *localInstance, options map[string]any) {
			write(t, filepath.Join(options["source"].(string), "more.h"), "\n")
		}, "source"},
		{"an option of cmake", func(_ *testing.T, _ *localInstance, options map[string]any) {
			options["cmake_options"] = []string{"-DA=1"}
		}, "configure"},
		{"the minimum rate", func(_ *testing.T, _ *localInstance, options map[string]any) { options["min_hashrate"] = "1 h/s" }, "benchmark"},
		{"the program on the instance", func(t *testing.T, in *localInstance, _ map[string]any) {
			write(t, in.root+"/usr/local/bin/ethminer", "#!/bin/sh\n")
		}, "toolkit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tools())
			options := map[string]any{"source": minerSource(t, cpuMiner)}
			if said, err := provision(t, t.Context(), in, options); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			test.change(t, in, options)
			said, err := provision(t, t.Context(), in, options)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if !strings.Contains(said, test.first+": done in ") {
				t.Errorf("%s did not run again:\n%s", test.first, said)
			}
			if _, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath))); err != nil {
				t.Error(err)
			}
			if got := in.installed(t, "/usr/local/bin/ethminer"); got != cpuMiner {
				t.Errorf("got installed program:\n%s", got)
			}
		})
	}
}

// TestRunResumesAfterLostConnection: a connection lost during the build loses the result of
// that phase only.
func TestRunResumesAfterLostConnection(t *testing.T) {
	in := newInstance(t, tools())
	options := map[string]any{"source": minerSource(t, cpuMiner)}
	in.rewrite = func(command string) string {
		if strings.Contains(command, "/build.sh") {
			return "kill -KILL $$"
		}
		return command
	}
	if _, err := provision(t, t.Context(), in, options); err == nil || !strings.Contains(err.Error(), "the connection to the instance was lost while build ran") {
		t.Fatalf("got error %v", err)
	}
	in.rewrite = nil
	said, err := provision(t, t.Context(), in, options)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, name := range []string{"toolkit", "source", "edits", "configure"} {
		if !strings.Contains(said, name+": already done") {
			t.Errorf("%s ran again:\n%s", name, said)
		}
	}
	if !strings.Contains(said, "build: done in") {
		t.Errorf("the build did not run:\n%s", said)
	}
	if left := in.scratch(t); len(left) > 0 {
		t.Errorf("got leftover files %q, want none", left)
	}
}

func TestPhasesResume(t *testing.T) {
	in := newInstance(t, tools())
	options := map[string]any{"source": minerSource(t, cpuMiner), "phases": []string{"toolkit", "source", "edits"}}
	said, err := provision(t, t.Context(), in, options)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if !strings.Contains(said, "build: skipped") || !strings.Contains(said, "clean: skipped") {
		t.Errorf("got output:\n%s", said)
	}
	if _, err := os.Stat(in.root + "/usr/local/bin/ethminer"); err == nil {
		t.Error("the miner was installed")
	}
	delete(options, "phases")
	said, err = provision(t, t.Context(), in, options)
	if err != nil || !strings.Contains(said, "edits: already done") || !strings.Contains(said, "install: done in") {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestValuesAreQuoted checks every user value that is part of a command.
func TestValuesAreQuoted(t *testing.T) {
	const nasty = "it's $(touch \"$TMPDIR/../harm\") \"x\"\n`touch $TMPDIR/../harm`; touch $TMPDIR/../harm"
	in := newInstance(t, tools())
	source := minerSource(t, cpuMiner)
	said, err := provision(t, t.Context(), in, map[string]any{
		"source":         source,
		"cmake_options":  []string{"-DA=" + nasty},
		"build_commands": []string{"cat >note <<'EOF'\n" + nasty + "\nEOF", "cp note \"$TMPDIR/../note\"; cp miner.sh ethminer; chmod +x ethminer"},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := in.notes("note"); got != nasty+"\n" {
		t.Errorf("got %q in a command of the user", got)
	}
	if in.notes("cmake-options") != "" {
		t.Error("cmake ran although build_commands are set")
	}
	for _, options := range []map[string]any{
		{"source": "file:///x/" + nasty + "/m.git", "source_ref": config.UpstreamCommit},
		{"source": "file:///x/" + nasty + ".tar.gz", "source_checksum": strings.Repeat("0", 64)},
	} {
		_, _ = provision(t, t.Context(), in, options) // fails: the source does not exist
	}
	if _, err := os.Stat(filepath.Join(in.dir, "harm")); err == nil {
		t.Error("the shell executed a value")
	}
}

func TestInventory(t *testing.T) {
	in := newInstance(t, tools())
	write(t, in.root+"/etc/ethminer/ethminer.conf", "ETHMINER_ARGS=secret\n")
	write(t, in.root+"/etc/ssh/ssh_host_ed25519_key", "key\n")
	write(t, in.root+"/root/.ssh/authorized_keys", "key\n")
	write(t, in.root+"/home/ubuntu/.ssh/authorized_keys", "key\n")
	write(t, in.root+"/home/ubuntu/.bash_history", "secret\n")
	write(t, in.root+"/etc/machine-id", "1234\n")
	write(t, in.root+"/var/log/auth.log", "who\n")
	write(t, in.root+"/var/log/auth.log.1", "who\n")
	write(t, in.root+"/var/lib/cloud/instances/i-1/user-data.txt", "secret\n")
	url, first, _ := repository(t)
	said, err := provision(t, t.Context(), in, map[string]any{"source": url, "source_ref": first})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	got := in.installed(t, "/etc/ethminer/inventory.json")
	for _, want := range []string{`"commit": "` + first + `"`, `"sha256": "` + fileSum(t, in.root+"/usr/local/bin/ethminer") + `"`, `"root_volume_grown_kb": `, "GPL-3.0", `"distribution": "debian 12"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the inventory lacks %s:\n%s", want, got)
		}
	}
	if !strings.Contains(said, "the root volume grew by ") {
		t.Errorf("got output:\n%s", said)
	}
	for _, gone := range []string{"/etc/ethminer/ethminer.conf", "/etc/ssh/ssh_host_ed25519_key", "/root/.ssh/authorized_keys", "/home/ubuntu/.ssh/authorized_keys", "/home/ubuntu/.bash_history", "/var/log/auth.log.1", "/var/lib/cloud/instances/i-1"} {
		if _, err := os.Stat(in.root + gone); err == nil {
			t.Errorf("%s still exists", gone)
		}
	}
	for _, empty := range []string{"/etc/machine-id", "/var/log/auth.log"} {
		if got := in.installed(t, empty); got != "" {
			t.Errorf("%s: got %q, want it empty", empty, got)
		}
	}
}
