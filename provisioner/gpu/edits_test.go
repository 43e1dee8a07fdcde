// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// oldTree is a copy of testdata/upstream: see testdata/README.md.
func oldTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ethminer")
	if err := os.CopyFS(dir, os.DirFS("testdata/upstream")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// localLibraries are the libraries of testdata as tarballs with their sums.
func localLibraries(t *testing.T) []dependency {
	t.Helper()
	dir := t.TempDir()
	var found []dependency
	for name, cmake := range map[string]string{"cli11": "CLI11", "ethash": "ethash"} {
		tree := filepath.Join(dir, name)
		if err := os.CopyFS(tree, os.DirFS("testdata/"+name)); err != nil {
			t.Fatal(err)
		}
		if name == "ethash" {
			for _, file := range []string{"keccak.cpp", "keccak.h", "permute.h"} {
				data, err := os.ReadFile("../../example/miner/src/" + file)
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(tree, "lib/ethash", file), string(data))
			}
		}
		tarball := tree + ".tar.gz"
		if out, err := exec.Command("tar", "-czf", tarball, "-C", dir, name).CombinedOutput(); err != nil {
			t.Fatalf("tar: %v\n%s", err, out)
		}
		found = append(found, dependency{name, cmake, "file://" + tarball, "sha256", fileSum(t, tarball)})
	}
	return found
}

func fileSum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// needBuild skips where the judges of a build are absent.
func needBuild(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"cmake", "g++", "curl", "ninja"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: needs %s: apt-get install cmake g++ curl ninja-build", tool)
		}
	}
	for _, header := range []string{"/usr/include/boost/asio.hpp", "/usr/include/jsoncpp/json/json.h"} {
		if _, err := os.Stat(header); err != nil {
			t.Skipf("SKIPPED: needs %s: apt-get install libboost-system-dev libjsoncpp-dev", header)
		}
	}
}

// construct is a part of the old tree: what builds it, and what the tools of
// today say of it.
var constructs = []struct{ edit, target, refusal string }{
	{"strand-context", "ethcore", "has no member named .?get_io_service"},
	{"bind-placeholders", "poolprotocols", "._1. was not declared"},
	{"cstdint", "devcore", "uint8_t. was not declared"},
	// Where headers lie among others it is the linker that says so.
	{"jsoncpp-target", "json", "json/json.h: No such file|ljsoncpp_lib_static"},
}

// TestEditsMakeTheOldTreeBuild is judged by the real compiler, CMake, Boost and
// jsoncpp: each construct fails without its edit, and the whole builds and does
// what it should with all of them.
func TestEditsMakeTheOldTreeBuild(t *testing.T) {
	needBuild(t)
	found := localLibraries(t)
	for _, test := range []struct{ coin, block, seed, epoch string }{
		// Ethash's published seeds of epochs 1 and 2; ECIP-1099's epoch 1 has
		// the latter.
		{"custom", "4", "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563", "1"},
		{"etc", "2", "510e4e770828ddbf7f7b00ab00a9f6adaf81c0dc9cc85f1f8249c256942d61d9", "1"},
	} {
		t.Run(test.coin, func(t *testing.T) {
			tree := oldTree(t)
			r := provisionRun(t, map[string]any{"source": tree, "coin": test.coin, "cmake_options": []string{"-DCMAKE_BUILD_TYPE=Debug"}})
			r.libraries = found
			r.upTo(t, "source")
			if test.coin == "custom" {
				r.must(t, r.plan("configure"))
				for _, c := range constructs {
					out, err := exec.Command("cmake", "--build", r.machine.scratch("build"), "--target", c.target).CombinedOutput()
					if err == nil || !regexp.MustCompile(c.refusal).Match(out) {
						t.Errorf("before the edit %s, the target %s: %v, expected it to say %q:\n%s", c.edit, c.target, err, c.refusal, out)
					}
				}
			}
			r.must(t, r.plan("edits"))
			for _, c := range constructs {
				if n := strings.Count(r.said.String(), "edit "+c.edit+": "); n != 1 {
					t.Errorf("the edit %s has applied to %d files, expected 1:\n%s", c.edit, n, r.said)
				}
			}
			r.must(t, r.plan("configure"))
			r.must(t, r.plan("build"))
			if out, err := exec.Command("cmake", "--build", r.machine.scratch("build"), "--target", "json").CombinedOutput(); err != nil {
				t.Errorf("after the edits: %v\n%s", err, out)
			}
			out, err := exec.Command(r.machine.scratch("build/ethminer/ethminer")).CombinedOutput()
			want := "epoch of block 120000: " + test.block + "\nseed of epoch 1: " + test.seed + "\nepoch of that seed: " + test.epoch + "\n"
			if err != nil || string(out) != want {
				t.Errorf("the program: %v\n%s\nexpected\n%s", err, out, want)
			}
		})
	}
}

// TestEditsAreGuarded: an edit applies where its construct is, and says when it
// cannot be sure.
func TestEditsAreGuarded(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(t *testing.T, tree string)
		options map[string]any
		want    string // of the error; "" is success
		edits   string // space-separated, those that apply
	}{
		{name: "a source of another kind", change: func(t *testing.T, tree string) {
			for _, dir := range []string{"libdevcore", "libethcore", "libpoolprotocols"} {
				if err := os.RemoveAll(filepath.Join(tree, dir)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{name: "a fork with a remedy of its own", change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libpoolprotocols/stratum/EthStratumClient.cpp"), "struct EthStratumClient", "using namespace boost::placeholders;\nstruct EthStratumClient")
			edit(t, filepath.Join(tree, "libethcore/Farm.cpp"), "m_io_strand.get_io_service()", "g_io_service")
			edit(t, filepath.Join(tree, "libdevcore/vector_ref.h"), "#include <cassert>", "#include <cassert>\n#include <cstdint>")
		}, edits: "jsoncpp-target"},
		{name: "a form that is not known", change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libethcore/Farm.cpp"), "m_io_strand.get_io_service()", "strand().get_io_service()")
		}, want: "edit strand-context: libethcore/Farm.cpp has the construct in a form that is not known (https://github.com/ethereum-mining/ethminer/issues/2393)"},
		{name: "which the user leaves out", change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libethcore/Farm.cpp"), "m_io_strand.get_io_service()", "strand().get_io_service()")
		}, options: map[string]any{"skip_edits": []string{"strand-context"}}, edits: "bind-placeholders cstdint jsoncpp-target"},
		{name: "a coin's edit that does not apply", options: map[string]any{"coin": "etc"}, change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libpoolprotocols/PoolManager.cpp"), "m_currentWp.block / 30000", "m_currentWp.block / length")
		}, want: "edit etchash-epoch-of-block should have applied and did not"},
		{name: "a coin that the source knows", options: map[string]any{"coin": "etc"}, change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libpoolprotocols/PoolManager.cpp"), "struct WorkPackage", "// Etchash since block 11700000\nstruct WorkPackage")
		}, edits: "strand-context bind-placeholders cstdint jsoncpp-target"},
		{name: "a coin that it can never mine", options: map[string]any{"coin": "etc"}, change: func(t *testing.T, tree string) {
			if err := os.Remove(filepath.Join(tree, "libpoolprotocols/PoolManager.cpp")); err != nil {
				t.Fatal(err)
			}
		}, want: "names neither Etchash nor ECIP-1099 and is not ethminer's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tree := oldTree(t)
			test.change(t, tree)
			options := map[string]any{"source": tree}
			for k, v := range test.options {
				options[k] = v
			}
			r := provisionRun(t, options)
			r.libraries = nil
			r.upTo(t, "source")
			err := r.plan("edits")
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, expected %q", err, test.want)
				}
				return
			}
			r.must(t, err)
			var applied []string
			for _, line := range regexp.MustCompile(`(?m)^edit ([^:]*): `).FindAllStringSubmatch(r.said.String(), -1) {
				applied = append(applied, line[1])
			}
			if got := strings.Join(applied, " "); got != test.edits {
				t.Errorf("applied %q, expected %q", got, test.edits)
			}
		})
	}
}

// TestPatches applies the user's own, in their order.
func TestPatches(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("SKIPPED: needs patch: apt-get install patch")
	}
	tree, dir := oldTree(t), t.TempDir()
	patch := func(name, from, to string) string {
		file := filepath.Join(dir, name)
		write(t, file, "--- a/NEWS\n+++ b/NEWS\n@@ -1 +1 @@\n-"+from+"\n+"+to+"\n")
		return file
	}
	write(t, filepath.Join(tree, "NEWS"), "one\n")
	first, second := patch("z.patch", "one", "two"), patch("a 'quoted' $(touch x).patch", "two", "three")
	r := provisionRun(t, map[string]any{"source": tree, "patches": []string{first, second}})
	r.libraries = nil
	r.upTo(t, "source")
	r.must(t, r.plan("edits"))
	if data, err := os.ReadFile(r.machine.scratch("source/NEWS")); err != nil || string(data) != "three\n" {
		t.Errorf("NEWS: %q, %v", data, err)
	}

	r = provisionRun(t, map[string]any{"source": tree, "patches": []string{second}})
	r.libraries = nil
	r.upTo(t, "source")
	if err := r.plan("edits"); err == nil || !strings.Contains(err.Error(), "patch 000.patch does not apply") {
		t.Errorf("a patch that does not apply: %v", err)
	}
}

// TestDependencyWithAWrongHash is refused before anything of it is unpacked.
func TestDependencyWithAWrongHash(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: needs curl: apt-get install curl")
	}
	r := provisionRun(t, map[string]any{"source": oldTree(t)})
	r.libraries = localLibraries(t)
	r.libraries[0].hash = strings.Repeat("0", 64)
	r.upTo(t, "toolkit")
	err := r.plan("source")
	if err == nil || !strings.Contains(err.Error(), "has the sha256 hash ") || !strings.Contains(err.Error(), "expected "+strings.Repeat("0", 64)) {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(r.machine.scratch("deps/" + r.libraries[0].name)); err == nil {
		t.Error("it was unpacked")
	}
}

func edit(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q: %v", path, old, err)
	}
	write(t, path, strings.ReplaceAll(string(data), old, new))
}

// testRun is a run whose phases a test takes one by one.
type testRun struct {
	*run
	said *strings.Builder
}

func provisionRun(t *testing.T, options map[string]any) *testRun {
	t.Helper()
	in := newInstance(t, map[string]string{"nvidia-smi": "exit 9\n", "systemctl": "exit 0\n"})
	options["execute_as_root"] = false
	p := &Provisioner{root: in.root}
	if err := p.Prepare(options); err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(t.Context(), in, in.root, false)
	if err != nil {
		t.Fatal(err)
	}
	said := &strings.Builder{}
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: said, ErrorWriter: said}
	return &testRun{newRun(p, ui, m), said}
}

// plan runs one phase.
func (r *testRun) plan(name string) error {
	for _, p := range plan {
		if p.name == name {
			return r.do(context.Background(), p)
		}
	}
	panic(name)
}

// upTo runs the phases until name, which must succeed.
func (r *testRun) upTo(t *testing.T, name string) {
	t.Helper()
	for _, p := range plan {
		r.must(t, r.do(t.Context(), p))
		if p.name == name {
			return
		}
	}
}

func (r *testRun) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, r.said)
	}
}
