// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tarball packs a miner's source, in one folder or without.
func tarball(t *testing.T, folder bool) string {
	t.Helper()
	dir := minerSource(t, cpuMiner)
	path := filepath.Join(t.TempDir(), "miner's source.tar.gz")
	args := []string{"-czf", path, "-C", dir, "."}
	if folder {
		args = []string{"-czf", path, "-C", filepath.Dir(dir), filepath.Base(dir)}
	}
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return path
}

func TestTarballs(t *testing.T) {
	path := tarball(t, true)
	flat := tarball(t, false)
	s := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	defer s.Close()
	for _, test := range []struct{ name, source, sum, want string }{
		{"a local file", path, fileSum(t, path), ""},
		{"without a folder of its own", flat, fileSum(t, flat), ""},
		{"a URL", s.URL + "/miner's%20source.tar.gz", "sha256:" + fileSum(t, path), ""},
		{"a wrong sum", path, strings.Repeat("0", 64), "has the SHA-256 " + fileSum(t, path) + ", expected source_checksum " + strings.Repeat("0", 64)},
		{"a URL of nothing", s.URL + "/none.tar.gz", strings.Repeat("0", 64), "curl cannot fetch source (curl: (22)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newInstance(t, tools())
			said, err := provision(t, t.Context(), in, map[string]any{"source": test.source, "source_checksum": test.sum})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, expected %q", err, test.want)
				}
				return
			}
			if err != nil || in.installed(t, "/usr/local/bin/ethminer") != cpuMiner {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
}

// TestNetworkGoesInMidClone: the server ends in the middle of an answer.
func TestNetworkGoesInMidClone(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	in := newInstance(t, tools())
	_, err := provision(t, t.Context(), in, map[string]any{"source": s.URL + "/m.git", "source_ref": UpstreamCommit})
	if err == nil || !strings.Contains(err.Error(), "source: failed after") || !strings.Contains(err.Error(), "git cannot fetch from source") || !strings.Contains(err.Error(), "see that the URL is right, the instance reaches it") {
		t.Errorf("error: %v", err)
	}
}

func TestBranchIsAWarning(t *testing.T) {
	url, first, _ := repository(t)
	if out, err := exec.Command("git", "-C", strings.TrimPrefix(url, "file://"), "branch", "stable", first).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	in := newInstance(t, tools())
	said, err := provision(t, t.Context(), in, map[string]any{"source": url, "source_ref": "stable"})
	if err != nil || !strings.Contains(said, `warning: source_ref "stable" can move`) || !strings.Contains(said, " at "+first) {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestSubmodules are fetched at the commit that the source names.
func TestSubmodules(t *testing.T) {
	url, _, second := repository(t)
	dir := minerSource(t, cpuMiner)
	git := func(args ...string) string {
		c := exec.Command("git", append([]string{"-C", dir, "-c", "protocol.file.allow=always", "-c", "user.name=n", "-c", "user.email=e"}, args...)...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("submodule", "--quiet", "add", url, "cmake/cable")
	git("add", ".")
	git("commit", "-qm", "one")
	in := newInstance(t, tools())
	// Git takes submodules from files only where it is told to.
	write(t, filepath.Join(in.tmp, ".gitconfig"), "[protocol \"file\"]\n\tallow = always\n")
	said, err := provision(t, t.Context(), in, map[string]any{"source": "file://" + dir, "source_ref": git("rev-parse", "HEAD")})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := in.installed(t, "/etc/ethminer/inventory.json"); !strings.Contains(got, "cmake/cable "+second) {
		t.Errorf("the inventory names no submodule at %s:\n%s", second, got)
	}
	_ = os.Remove(filepath.Join(in.tmp, ".gitconfig"))
	_, err = provision(t, t.Context(), in, map[string]any{"source": "file://" + dir, "source_ref": git("rev-parse", "HEAD"), "cmake_options": []string{"-DA=1"}, "phases": []string{"source"}})
	if err == nil || !strings.Contains(err.Error(), "git cannot fetch the source's submodules") {
		t.Errorf("a submodule that cannot be had: %v", err)
	}
}

// TestCUDAToolkit unpacks stand-ins for NVIDIA's packages, off the system.
func TestCUDAToolkit(t *testing.T) {
	programs := map[string]string{
		"curl": `while [ $# -gt 0 ]; do case $1 in -o) out=$2 ;; esac; shift; done; echo keyring >"$out"` + "\n",
		"apt-get": `echo "$*" >>"$TMPDIR/../apt"
case "$*" in *" download "*) for last; do :; done; : >"$last.deb" ;; esac
`,
		"dpkg-deb": `case $2 in keyring.deb) exit ;; esac
mkdir -p "$3/usr/local/cuda-12.9/bin"
printf '#!/bin/sh\necho "Cuda compilation tools, release 12.9, V12.9.41"\n' >"$3/usr/local/cuda-12.9/bin/nvcc"
chmod +x "$3/usr/local/cuda-12.9/bin/nvcc"
`,
	}
	in := newInstance(t, programs)
	m, err := newMachine(t.Context(), in, in.root, false)
	if err != nil {
		t.Fatal(err)
	}
	keyring := filepath.Join(t.TempDir(), "keyring")
	write(t, keyring, "keyring\n")
	s := script{name: "cuda", args: []string{"https://nvidia.invalid/repo", fileSum(t, keyring), "cuda-crt-12-9", "cuda-nvcc-12-9"}, bound: 60e9}
	a, err := m.run(t.Context(), s)
	if err != nil || a.fact("cuda") != "12.9" || a.fact("nvcc") != m.scratch("cuda/usr/local/cuda-12.9/bin/nvcc") {
		t.Errorf("%v, facts %v", err, a)
	}
	if got := in.notes("apt"); !strings.Contains(got, "Dir::Etc::sourceparts=/dev/null") || strings.Contains(got, " install ") {
		t.Errorf("apt-get was asked %q", got)
	}
	s.args[1] = strings.Repeat("0", 64)
	if _, err := m.run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "has the SHA-256 "+fileSum(t, keyring)+", expected "+s.args[1]) {
		t.Errorf("a keyring that is not NVIDIA's: %v", err)
	}
}
