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
	"slices"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
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

// localLibraries returns the libraries of testdata as tarballs with their sums.
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

// needBuild skips the test if a build tool is missing.
func needBuild(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"cmake", "g++", "curl", "ninja"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: needs %s: apt-get install cmake g++ curl ninja-build", tool)
		}
	}
	for _, name := range []string{"libboost-system-dev", "libboost-filesystem-dev", "libboost-thread-dev", "libjsoncpp-dev", "libssl-dev"} {
		if exec.Command("dpkg", "-s", name).Run() != nil {
			t.Skipf("SKIPPED: needs %s: apt-get install %s", name, name)
		}
	}
}

// without lists how the tree fails without one edit. GCC 12 compiles the unmodified
// vector_ref.h; only Debian 13 requires that edit (see debian13_test.go).
var without = []struct {
	edit    string
	phase   string // that fails
	message string // of CMake, the compiler or the linker
	debian  int    // the first Debian on which it fails
}{
	{"jsoncpp-target", "build", `ljsoncpp_lib_static`, 12},
	{"jsoncpp-header", "build", `json/json\.h: No such file`, 12},
	{"strand-context", "build", `has no member named .?get_io_service`, 12},
	{"bind-placeholders", "build", `'_1' was not declared|._1. was not declared`, 12},
	{"cstdint", "build", `.?uint8_t.? was not declared|.?uint8_t.? does not name a type`, 13},
}

// seeds are the expected output of the built fixture, by coin: Ethash's published
// seeds of epochs 1 and 2; ECIP-1099's epoch 1 has the latter.
var seeds = map[string]string{
	"custom": "epoch of block 120000: 4\nseed of epoch 1: 290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563\nepoch of that seed: 1 1\n",
	"etc":    "epoch of block 120000: 2\nseed of epoch 1: 510e4e770828ddbf7f7b00ab00a9f6adaf81c0dc9cc85f1f8249c256942d61d9\nepoch of that seed: 1 1\n",
}

// TestUpstreamTree uses the real CMake, compiler, Boost and jsoncpp of this system: the
// fixture fails without each library and each edit, as upstream does, and builds and
// runs with all of them.
func TestUpstreamTree(t *testing.T) {
	needBuild(t)
	found := localLibraries(t)
	provision := func(t *testing.T, coin, skip string) *testRun {
		t.Helper()
		options := map[string]any{"source": oldTree(t), "coin": coin, "device": "cpu", "cmake_options": []string{"-DCMAKE_BUILD_TYPE=Debug"}}
		if skip != "" {
			options["skip_edits"] = []string{skip}
		}
		r := provisionRun(t, options)
		r.libraries = found
		return r
	}
	for _, l := range found {
		t.Run("without the library "+l.name, func(t *testing.T) {
			r := provision(t, "custom", "")
			r.libraries = slices.DeleteFunc(slices.Clone(found), func(o dependency) bool { return o.name == l.name })
			r.upTo(t, "edits")
			fails(t, r.plan("configure"), `provided by "`+l.cmake+`"|`+l.cmake+`Config\.cmake`)
		})
	}
	for _, c := range without {
		if c.debian > 12 {
			continue
		}
		t.Run("without "+c.edit, func(t *testing.T) {
			r := provision(t, "custom", c.edit)
			r.upTo(t, "configure")
			fails(t, r.plan(c.phase), c.message)
		})
	}
	for coin, want := range seeds {
		t.Run(coin, func(t *testing.T) {
			r := provision(t, coin, "")
			r.upTo(t, "build")
			for _, c := range without {
				if !strings.Contains(r.said.String(), "edit "+c.edit+": ") {
					t.Errorf("the edit %s was not applied:\n%s", c.edit, r.said)
				}
			}
			out, err := exec.Command(r.machine.Scratch("build/ethminer/ethminer")).CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("got %v\n%s\nwant\n%s", err, out, want)
			}
		})
	}
}

// fails checks that err, or the log that it names, has the compiler's message.
func fails(t *testing.T, err error, message string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", message)
	}
	text := err.Error()
	if _, file, ok := strings.Cut(text, "output is in "); ok {
		log, _ := os.ReadFile(strings.Fields(file)[0])
		text += string(log)
	}
	if !regexp.MustCompile(message).MatchString(text) {
		t.Errorf("error %s\nwant %q", text, message)
	}
}

// TestEditsAreGuarded: an edit applies only to its construct, and fails on unknown
// forms of it.
func TestEditsAreGuarded(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(t *testing.T, tree string)
		options map[string]any
		want    string // of the error; "" is success
		edits   string // space-separated, those that apply
	}{
		{name: "a source without the files of the others", change: func(t *testing.T, tree string) {
			for _, dir := range []string{"libdevcore", "libethcore", "libpoolprotocols"} {
				if err := os.RemoveAll(filepath.Join(tree, dir)); err != nil {
					t.Fatal(err)
				}
			}
		}, edits: "jsoncpp-header"},
		{name: "a fork with its own fix", change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libpoolprotocols/stratum/EthStratumClient.cpp"), "void EthStratumClient::start", "using namespace boost::placeholders;\nvoid EthStratumClient::start")
			edit(t, filepath.Join(tree, "libpoolprotocols/getwork/EthGetworkClient.cpp"), "void EthGetworkClient::start", "using namespace boost::placeholders;\nvoid EthGetworkClient::start")
			edit(t, filepath.Join(tree, "libethcore/Farm.cpp"), "m_io_strand.get_io_service()", "g_io_service")
			edit(t, filepath.Join(tree, "libdevcore/vector_ref.h"), "#include <cassert>", "#include <cassert>\n#include <cstdint>")
		}, edits: "jsoncpp-target jsoncpp-header"},
		{name: "an unknown form", change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libethcore/Farm.cpp"), "m_io_strand.get_io_service()", "strand().get_io_service()")
		}, want: "edit strand-context: libethcore/Farm.cpp has the construct in an unknown form (https://github.com/ethereum-mining/ethminer/issues/2393)"},
		{name: "an unknown form, skipped by the user", change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libethcore/Farm.cpp"), "m_io_strand.get_io_service()", "strand().get_io_service()")
		}, options: map[string]any{"skip_edits": []string{"strand-context"}}, edits: "bind-placeholders bind-placeholders cstdint jsoncpp-target jsoncpp-header"},
		{name: "a coin's edit that does not apply", options: map[string]any{"coin": "etc"}, change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libpoolprotocols/PoolManager.cpp"), "m_currentWp.block / 30000", "m_currentWp.block / length")
		}, want: "edit etchash-epoch-of-block did not apply"},
		{name: "a coin that the source knows", options: map[string]any{"coin": "etc"}, change: func(t *testing.T, tree string) {
			edit(t, filepath.Join(tree, "libpoolprotocols/PoolManager.cpp"), "int epoch_of(", "// Etchash since block 11700000\nint epoch_of(")
		}, edits: "strand-context bind-placeholders bind-placeholders cstdint jsoncpp-target jsoncpp-header"},
		{name: "a coin that it can never mine", options: map[string]any{"coin": "etc"}, change: func(t *testing.T, tree string) {
			if err := os.Remove(filepath.Join(tree, "libpoolprotocols/PoolManager.cpp")); err != nil {
				t.Fatal(err)
			}
		}, want: "mentions neither Etchash nor ECIP-1099 and is not an ethminer source"},
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
					t.Fatalf("got error %v, want %q", err, test.want)
				}
				return
			}
			r.must(t, err)
			var applied []string
			for _, line := range regexp.MustCompile(`(?m)^edit ([^:]*): `).FindAllStringSubmatch(r.said.String(), -1) {
				applied = append(applied, line[1])
			}
			if got := strings.Join(applied, " "); got != test.edits {
				t.Errorf("got edits %q, want %q", got, test.edits)
			}
		})
	}
}

// TestCoinWarning: unmodified upstream mines Ethash, which users rarely intend.
func TestCoinWarning(t *testing.T) {
	const warning = `warning: coin "custom": this source mines Ethash, whose only active coin is EthereumPoW; set coin = "etc"`
	for coin, want := range map[string]bool{"custom": true, "etc": false, "ethw": false} {
		r := provisionRun(t, map[string]any{"source": oldTree(t), "coin": coin})
		r.libraries = localLibraries(t)
		r.upTo(t, "edits")
		if got := strings.Contains(r.said.String(), warning); got != want {
			t.Errorf("coin %q: got warning %v, want %v:\n%s", coin, got, want, r.said)
		}
	}
}

// TestPatches applies the user's patches in order.
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
	if data, err := os.ReadFile(r.machine.Scratch("source/NEWS")); err != nil || string(data) != "three\n" {
		t.Errorf("NEWS: %q, %v", data, err)
	}

	r = provisionRun(t, map[string]any{"source": tree, "patches": []string{second}})
	r.libraries = nil
	r.upTo(t, "source")
	if err := r.plan("edits"); err == nil || !strings.Contains(err.Error(), "patch 000.patch does not apply") {
		t.Errorf("patch that does not apply: got error %v", err)
	}
}

// TestDependencyWithWrongHash: a library with a wrong hash is not unpacked.
func TestDependencyWithWrongHash(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: needs curl: apt-get install curl")
	}
	r := provisionRun(t, map[string]any{"source": oldTree(t)})
	r.libraries = localLibraries(t)
	r.libraries[0].hash = strings.Repeat("0", 64)
	r.upTo(t, "toolkit")
	err := r.plan("source")
	if err == nil || !strings.Contains(err.Error(), "has the sha256 hash ") || !strings.Contains(err.Error(), "expected "+strings.Repeat("0", 64)) {
		t.Errorf("got error %v", err)
	}
	if _, err := os.Stat(r.machine.Scratch("deps/" + r.libraries[0].name)); err == nil {
		t.Error("the library was unpacked")
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

// testRun is a run whose phases a test runs one by one.
type testRun struct {
	*run
	said *strings.Builder
}

func provisionRun(t *testing.T, options map[string]any) *testRun {
	t.Helper()
	in := newInstance(t, map[string]string{"nvidia-smi": "exit 9\n", "systemctl": "exit 0\n"})
	options["execute_as_root"] = false
	return provisionOn(t, in, in.root, options)
}

// provisionOn returns a run on any instance that installs below root.
func provisionOn(t *testing.T, comm packersdk.Communicator, root string, options map[string]any) *testRun {
	t.Helper()
	p := &Provisioner{root: root}
	if err := p.Prepare(options); err != nil {
		t.Fatal(err)
	}
	m, err := remote.New(t.Context(), comm, remote.Settings{Scripts: scriptFiles(), Root: root, Sudo: p.config.ExecuteAsRoot.True()})
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
