// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"archive/tar"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// tarball packs a miner's source, with or without a top folder.
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
		{"without a top folder", flat, fileSum(t, flat), ""},
		{"a URL", s.URL + "/miner's%20source.tar.gz", "sha256:" + fileSum(t, path), ""},
		{"a wrong checksum", path, strings.Repeat("0", 64), "has the SHA-256 " + fileSum(t, path) + ", expected source_checksum " + strings.Repeat("0", 64)},
		{"a URL without a file", s.URL + "/none.tar.gz", strings.Repeat("0", 64), "curl cannot fetch source (curl: (22)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newInstance(t, tools())
			said, err := provision(t, t.Context(), in, map[string]any{"source": test.source, "source_checksum": test.sum})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want %q", err, test.want)
				}
				return
			}
			if err != nil || in.installed(t, "/usr/local/bin/ethminer") != cpuMiner {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
}

// TestHostileTarballs: a tarball with the expected sum changes nothing outside the
// source's folder, and brings no owner and no setuid program, also if the login user is
// root.
func TestHostileTarballs(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	up := strings.Repeat("../", 20)
	for name, members := range map[string][]tar.Header{
		"a parent folder":         {{Name: up + victim[1:], Typeflag: tar.TypeReg, Mode: 0o644}},
		"an absolute path":        {{Name: victim, Typeflag: tar.TypeReg, Mode: 0o644}},
		"through a link":          {{Name: "l", Linkname: outside, Typeflag: tar.TypeSymlink}, {Name: "l/victim", Typeflag: tar.TypeReg, Mode: 0o644}},
		"through two links":       {{Name: "a", Linkname: ".", Typeflag: tar.TypeSymlink}, {Name: "a/l", Linkname: up + outside[1:], Typeflag: tar.TypeSymlink}, {Name: "a/l/victim", Typeflag: tar.TypeReg, Mode: 0o644}},
		"a link to the file":      {{Name: "f", Linkname: victim, Typeflag: tar.TypeSymlink}, {Name: "f", Typeflag: tar.TypeReg, Mode: 0o644}},
		"a hard link to the file": {{Name: "f", Linkname: victim, Typeflag: tar.TypeLink}, {Name: "f", Typeflag: tar.TypeReg, Mode: 0o644}},
		"a setuid program":        {{Name: "f", Typeflag: tar.TypeReg, Mode: 0o6755, Uid: 12345, Gid: 12345}},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, victim, "untouched")
			path, found := filepath.Join(t.TempDir(), "source.tar"), filepath.Join(t.TempDir(), "found")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			archive := tar.NewWriter(file)
			program := tar.Header{Name: "ethminer", Typeflag: tar.TypeReg, Mode: 0o755}
			for _, h := range append([]tar.Header{program, {Name: "CMakeLists.txt", Typeflag: tar.TypeReg, Mode: 0o644}}, members...) {
				if h.Typeflag == tar.TypeReg {
					h.Size = int64(len(cpuMiner))
				}
				if err := archive.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				if h.Typeflag == tar.TypeReg {
					if _, err := archive.Write([]byte(cpuMiner)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := errors.Join(archive.Close(), file.Close()); err != nil {
				t.Fatal(err)
			}
			in := newInstance(t, tools())
			said, err := provision(t, t.Context(), in, map[string]any{
				"source": path, "source_checksum": fileSum(t, path),
				"build_commands": []string{"find . -perm /7000 >" + found + "; find . ! -user $(id -u) >>" + found},
			})
			if err != nil && !strings.Contains(err.Error(), "source cannot be unpacked") {
				t.Errorf("%v\n%s", err, said)
			}
			if got, err := os.ReadFile(victim); err != nil || string(got) != "untouched" {
				t.Errorf("the file outside has %q, %v", got, err)
			}
			if got, _ := os.ReadFile(found); len(got) > 0 {
				t.Errorf("unpacked with owner or setuid: %s", got)
			}
			_, err = os.Stat(found)
			if name == "a setuid program" && err != nil {
				t.Errorf("not unpacked: %v", err)
			}
		})
	}
}

// TestConnectionClosedDuringClone: the server closes the connection during a response.
func TestConnectionClosedDuringClone(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	in := newInstance(t, tools())
	_, err := provision(t, t.Context(), in, map[string]any{"source": s.URL + "/m.git", "source_ref": config.UpstreamCommit})
	if err == nil || !strings.Contains(err.Error(), "source: failed after") || !strings.Contains(err.Error(), "git cannot fetch from source") || !strings.Contains(err.Error(), "check that the URL is correct and that the instance can reach it") {
		t.Errorf("got error %v", err)
	}
}

func TestBranchCausesWarning(t *testing.T) {
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

// TestSubmodules: submodules are fetched at the commits that the source records.
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
	// Git fetches submodules from local paths only if configured to.
	write(t, filepath.Join(in.tmp, ".gitconfig"), "[protocol \"file\"]\n\tallow = always\n")
	said, err := provision(t, t.Context(), in, map[string]any{"source": "file://" + dir, "source_ref": git("rev-parse", "HEAD")})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := in.installed(t, "/etc/ethminer/inventory.json"); !strings.Contains(got, "cmake/cable "+second) {
		t.Errorf("got an inventory without the submodule at %s:\n%s", second, got)
	}
	_ = os.Remove(filepath.Join(in.tmp, ".gitconfig"))
	_, err = provision(t, t.Context(), in, map[string]any{"source": "file://" + dir, "source_ref": git("rev-parse", "HEAD"), "cmake_options": []string{"-DA=1"}, "phases": []string{"source"}})
	if err == nil || !strings.Contains(err.Error(), "git cannot fetch the source's submodules") {
		t.Errorf("unavailable submodule: got error %v", err)
	}
}
