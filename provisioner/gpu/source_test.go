// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPackFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"CMakeLists.txt", "src/main.cpp", "src/two words.h", "cmake/x.cmake",
		".git/HEAD", "sub/.git", // a submodule's .git is a file
		"build/CMakeCache.txt", "build/ethminer", "CMakeCache.txt", "CMakeFiles/x.o",
	} {
		write(t, filepath.Join(dir, name), name)
	}
	if err := os.Symlink("main.cpp", filepath.Join(dir, "src", "link.cpp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "cmake/x.cmake"), 0o755); err != nil {
		t.Fatal(err)
	}

	var packed bytes.Buffer
	if err := packFolder(t.Context(), &packed, dir); err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Uname != "" {
			t.Errorf("%s names an owner", header.Name)
		}
		if header.Name == "cmake/x.cmake" && header.Mode&0o100 == 0 {
			t.Error("a script has lost its mode")
		}
		if header.Typeflag != tar.TypeDir {
			got[header.Name] = string(content) + header.Linkname
		}
	}
	want := map[string]string{
		"CMakeLists.txt": "CMakeLists.txt", "src/main.cpp": "src/main.cpp", "src/two words.h": "src/two words.h",
		"cmake/x.cmake": "cmake/x.cmake", "src/link.cpp": "main.cpp",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("packed %v", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := packFolder(ctx, io.Discard, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
}

// repository is a git repository with two commits, the first of which makes
// cpuMiner; it returns its URL and both commits.
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
		{"no such repository", "file:///nowhere/$(touch x)'s.git", first, "; see that the URL is right"},
		{"a commit without CMakeLists.txt", url, second, "source has no CMakeLists.txt at its top"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tools())
			said, err := provision(t, t.Context(), in, map[string]any{"source": test.url, "source_ref": test.ref})
			if err != nil {
				said += err.Error()
			}
			if !strings.Contains(said, test.want) {
				t.Errorf("expected %q in:\n%s", test.want, said)
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
		{"an option that names errors is none", "cc -Werror=x a.c\nall is well", ""},
		{"nothing", "", ""},
		{"not 500 lines", "a.c:1:1: error: x\n" + strings.Repeat("  note\n", 500), "a.c:1:1: error: x" + strings.Repeat("\n  note", maxErrorLines-1)},
	} {
		if got := firstError(test.log); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}
