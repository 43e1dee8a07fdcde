// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const versionLine = `if [ "$1" = -V ]; then echo "ethminer 0.19.0"; exit; fi` + "\n"

// versionless does not support -V.
const versionless = "#!/bin/sh\n[ \"$1\" != -V ] || exit 3\nwhile :; do echo ' m 16:39:20 ethminer 0:00 A1 5.00 Kh - cp0 5.00'; sleep 0.1; done\n"

func TestPhaseFailures(t *testing.T) {
	for _, test := range []struct {
		name     string
		programs map[string]string // besides the usual stand-ins
		miner    string            // cpuMiner when empty
		files    map[string]string // more files of the source
		options  map[string]any
		want     []string // parts of the error
	}{
		{
			name:     "detect: unsupported system",
			programs: map[string]string{"uname": "echo Darwin\n"},
			want:     []string{"detect: failed after", "runs Darwin, expected Linux", "choose a Debian or Ubuntu image"},
		},
		{
			name:     "toolkit: disk full",
			programs: map[string]string{"df": "printf 'head\\nfs 1000 950 50 95%% /\\n'\n"},
			want:     []string{"toolkit: failed", "has 50 MB free, expected 200 MB or more", "larger root volume"},
		},
		{
			name:    "detect: CUDA requested but missing",
			options: map[string]any{"device": "cuda"},
			want:    []string{"detect: failed", `device "cuda": `, "nvidia-smi", `set device = "cpu"`},
		},
		{
			name:  "configure: cmake cannot configure",
			files: map[string]string{"configure.err": "CMake Error at CMakeLists.txt:3 (find_package):\n  Could not find Boost\n\n-- Configuring incomplete\n"},
			want:  []string{"configure: failed", "cmake cannot configure the source: CMake Error at CMakeLists.txt:3", "Could not find Boost", "the full output is in "},
		},
		{
			name:  "build: the compiler's first error, in the user's path",
			files: map[string]string{"compile.err": "[1/2] Building\nSRC/src/main.cpp: In function 'int main()':\nSRC/src/main.cpp:7:5: error: 'x' was not declared\n    7 |     x = 1;\n      |     ^\nSRC/src/main.cpp:9:1: error: later\nmake: *** [all] Error 2\n"},
			want:  []string{"the source does not compile: ", "/src/main.cpp:7:5: error: 'x' was not declared\n    7 |     x = 1;"},
		},
		{
			name:    "build: no such program",
			options: map[string]any{"binary_name": "kawminer"},
			want:    []string{"build: failed", "the build produced no program kawminer", "set binary_name"},
		},
		{
			name:     "install: no unit",
			programs: map[string]string{"systemctl": "[ \"$1\" != enable ]\n"},
			want:     []string{"install: failed", "systemctl cannot enable ethminer.service"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			maps.Copy(programs, test.programs)
			in := newInstance(t, programs)
			if test.miner == "" {
				test.miner = cpuMiner
			}
			source := minerSource(t, test.miner)
			for name, text := range test.files {
				write(t, filepath.Join(source, name), text)
			}
			options := map[string]any{"source": source}
			maps.Copy(options, test.options)
			said, err := provision(t, t.Context(), in, options)
			if err == nil {
				t.Fatalf("got no error:\n%s", said)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
		})
	}
}

func TestMinerWithoutVersion(t *testing.T) {
	said, err := provision(t, t.Context(), newInstance(t, tools()), map[string]any{"source": minerSource(t, versionless)})
	if err != nil || !strings.Contains(said, "hash rate: 5.00 Kh/s") {
		t.Errorf("%v\n%s", err, said)
	}
}

// isolate restricts the instance to the programs that every Debian has.
func (in *localInstance) isolate(t *testing.T) {
	t.Helper()
	bin, _, _ := strings.Cut(in.path, ":")
	for _, name := range strings.Fields("sh mktemp id env timeout cat tr awk df nproc uname sleep rm mkdir tar gzip find wc du cp mv chmod chown head grep printf sed cmp comm sort cut base64 sha256sum ln sync") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("SKIPPED: needs %s: %v", name, err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	in.path = bin
}

func TestToolkit(t *testing.T) {
	const install = `
echo "$DEBIAN_FRONTEND $*" >>"$TMPDIR/../apt"
case "$*" in *" update") exit ${UPDATE:-0} ;; esac
`
	for _, test := range []struct {
		name     string
		programs map[string]string
		want     string   // part of the output or of the error
		apt      []string // parts of apt-get's arguments
	}{
		{
			name: "nothing missing: apt is not called",
			programs: map[string]string{
				"cmake": tools()["cmake"], "c++": "exit 0\n", "make": "exit 0\n",
				"apt-get": "touch \"$TMPDIR/../apt-called\"; exit 1\n",
			},
			want: "(nothing to install, scratch: folder on the root volume)",
		},
		{
			name:     "no apt",
			programs: map[string]string{},
			want:     "the instance lacks cmake g++ ninja-build, and has no apt-get to install them with; start from an Ubuntu or Debian image",
		},
		{
			name:     "no root",
			programs: map[string]string{"id": "echo 1000\n", "apt-get": "exit 1\n"},
			want:     "the instance lacks cmake g++ ninja-build, and installing them needs root; allow the login user to run sudo without a password",
		},
		{
			name:     "no network",
			programs: map[string]string{"apt-get": "echo 'Temporary failure resolving mirror' >&2; exit 100\n"},
			want:     "apt-get cannot update its lists or install cmake g++ ninja-build (Temporary failure resolving mirror); check that the instance can reach its package mirror",
		},
		{
			name:     "only missing packages are installed",
			programs: map[string]string{"cmake": tools()["cmake"], "make": "exit 0\n", "apt-get": install},
			want:     "(installed g++, scratch: ",
			apt:      []string{"noninteractive", "DPkg::Lock::Timeout=300", "install --no-install-recommends g++\n"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			programs := map[string]string{"systemctl": "exit 0\n", "nvidia-smi": "exit 9\n", "id": "echo 0\n"}
			maps.Copy(programs, test.programs)
			in := newInstance(t, programs)
			in.isolate(t)
			said, err := provision(t, t.Context(), in, map[string]any{"source": minerSource(t, cpuMiner)})
			if err != nil {
				said += err.Error()
			}
			if !strings.Contains(said, test.want) {
				t.Errorf("got output without %q:\n%s", test.want, said)
			}
			if in.notes("apt-called") != "" {
				t.Error("apt-get was called")
			}
			for _, part := range test.apt {
				if !strings.Contains(in.notes("apt"), part) {
					t.Errorf("got apt-get calls %q, want %q", in.notes("apt"), part)
				}
			}
		})
	}
}

// TestLostConnectionIsAnError: the SDK reports exit code 0 for some lost
// connections, and CmdDisconnect for others.
func TestLostConnectionIsAnError(t *testing.T) {
	for _, phase := range []string{"build", "benchmark"} {
		for _, how := range []string{"exit 0", "kill -KILL $$"} {
			t.Run(phase+" "+how, func(t *testing.T) {
				in := newInstance(t, tools())
				in.rewrite = func(command string) string {
					if strings.Contains(command, "/"+phase+".sh") {
						return "echo half; " + how
					}
					return command
				}
				_, err := provision(t, t.Context(), in, map[string]any{"source": minerSource(t, cpuMiner)})
				if err == nil || !strings.Contains(err.Error(), "the connection to the instance was lost while "+phase+" ran; check that the instance is up") {
					t.Errorf("got error %v", err)
				}
			})
		}
	}
}

// TestCancelEndsTheRemoteProcess cancels a phase and checks that its remote process has
// ended.
func TestCancelEndsTheRemoteProcess(t *testing.T) {
	const slow = `echo $$ >"$TMPDIR/../pid"; sleep 300`
	const slowBuild = `case $1 in -S) exit ;; esac; ` + slow
	for _, test := range []struct{ phase, miner, cmake string }{
		{"configure", cpuMiner, slow},
		{"build", cpuMiner, slowBuild},
		{"benchmark", "#!/bin/sh\n" + versionLine + slow + "\n", ""},
		{"benchmark", "#!/bin/sh\n" + versionLine + "trap '' INT TERM\n" + slow + "\n", ""},
	} {
		t.Run(test.phase, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			if test.cmake != "" {
				programs["cmake"] = test.cmake
			}
			in := newInstance(t, programs)
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("the user pressed Ctrl-C")
			var pid int
			go func() {
				pid = in.await(ctx)
				cancel(why)
			}()
			_, err := provision(t, ctx, in, map[string]any{"source": minerSource(t, test.miner)})
			if !errors.Is(err, why) || !strings.Contains(err.Error(), test.phase+": cancelled after") {
				t.Errorf("got error %v", err)
			}
			for tries := 0; syscall.Kill(pid, 0) == nil; tries++ {
				if tries == 300 {
					t.Fatalf("process %d is still running", pid)
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// await waits for the process ID that a stand-in writes, and returns it.
func (in *localInstance) await(ctx context.Context) int {
	for ctx.Err() == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(in.notes("pid"))); err == nil {
			return pid
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0
}

func TestUnreachableInstance(t *testing.T) {
	in := newInstance(t, tools())
	in.refuse = errors.New("no route to host")
	_, err := provision(t, t.Context(), in, map[string]any{"source": minerSource(t, cpuMiner)})
	if !errors.Is(err, in.refuse) || !strings.Contains(err.Error(), "connecting to the instance") {
		t.Errorf("got error %v", err)
	}
}
