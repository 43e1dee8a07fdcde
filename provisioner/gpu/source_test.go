// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// repository creates a git repository with two commits, of which the first builds
// cpuMiner, and returns its URL and both commits.
func repository(t *testing.T) (url, first, second string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED: needs git: apt-get install git")
	}
	dir := minerSource(t, cpuMiner)
	git := func(args ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"}, args...)...)
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "one")
	first = git("rev-parse", "HEAD")
	git("rm", "-q", "CMakeLists.txt")
	git("commit", "-qm", "two")
	return "file://" + dir, first, git("rev-parse", "HEAD")
}

func TestGitSource(t *testing.T) {
	url, first, second := repository(t)
	const none = "0123456789012345678901234567890123456789"
	for _, test := range []struct{ name, url, ref, want string }{
		{"a commit that is not the newest", url, first, "source: done in "},
		{"no such commit", url, none, "source has no commit " + none},
		{"no such repository", "file:///nowhere/$(touch x)'s.git", first, "; check that the URL is correct"},
		{"a commit without CMakeLists.txt", url, second, "source has no CMakeLists.txt in its top folder"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tools())
			said, err := provision(t, t.Context(), in, map[string]any{"source": test.url, "source_ref": test.ref})
			if err != nil {
				said += err.Error()
			}
			if !strings.Contains(said, test.want) {
				t.Errorf("got output without %q:\n%s", test.want, said)
			}
			if err == nil && !strings.Contains(in.installed(t, "/etc/ethminer/benchmark.json"), `"source": "`+test.url+" at "+test.ref+`"`) {
				t.Error("the report does not name the source")
			}
		})
	}
}

func TestFirstError(t *testing.T) {
	for _, test := range []struct{ name, log, want string }{
		{"GCC", "warning: x\na.cpp: In function 'f':\na.cpp:7:5: error: 'x' was not declared\n    7 | x\n      | ^\nb.cpp:1:1: error: later", "a.cpp:7:5: error: 'x' was not declared\n    7 | x\n      | ^"},
		{"a missing header", "a.cpp:1:10: fatal error: boost/x.hpp: No such file or directory\ncompilation terminated.", "a.cpp:1:10: fatal error: boost/x.hpp: No such file or directory"},
		{"nvcc", "x.cu(12): error: identifier \"y\" is undefined\n\n1 error detected", "x.cu(12): error: identifier \"y\" is undefined"},
		{"the compiler before the build tool", "make: *** Error 2\na.cpp:1:1: error: z", "a.cpp:1:1: error: z"},
		{"CMake, with its text", "-- x\nCMake Error at CMakeLists.txt:3 (find_package):\n  Could not find\n\n  Boost\n\n\n-- Incomplete", "CMake Error at CMakeLists.txt:3 (find_package):\n  Could not find\n\n  Boost"},
		{"the linker", "ld: m.o: in function `main':\nm.cpp:(.text+0x5): undefined reference to `f()'\ncollect2: error: ld returned 1 exit status", "m.cpp:(.text+0x5): undefined reference to `f()'"},
		{"out of memory", "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.", "c++: fatal error: Killed signal terminated program cc1plus"},
		{"an option that names errors is not an error", "cc -Werror=x a.c\nall is well", ""},
		{"nothing", "", ""},
		{"at most maxErrorLines lines", "a.c:1:1: error: x\n" + strings.Repeat("  note\n", 500), "a.c:1:1: error: x" + strings.Repeat("\n  note", maxErrorLines-1)},
	} {
		if got := firstError(test.log); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}
