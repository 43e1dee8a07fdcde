// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// cudaStandIn creates a toolkit below root: a compiler that compiles the fixture's
// kernel.cu for the CPU, a header, and a runtime library that finds no GPU. layout
// sets the folders of headers and libraries.
func cudaStandIn(t *testing.T, root, version, include, lib string) {
	t.Helper()
	write(t, filepath.Join(root, "bin/nvcc"), `#!/bin/sh
case "$*" in
*--version*) echo 'Cuda compilation tools, release `+version+`, V`+version+`.41'; exit ;;
*-v\ *) echo '#$ TOP=`+root+`' >&2; exit 1 ;;
esac
mode=-c out=
for last; do
	case $last in -M) mode=-M ;; esac
	[ -n "$out" ] || { [ "$previous" = -o ] && out=$last; }
	previous=$last
done
echo "$*" >>"`+root+`/calls"
case $mode in
-M) echo "x: " >"$out" ;;
*) echo 'int touched() { return 0; }' | g++ -x c++ -c - -o "$out" ;;
esac
`)
	if err := os.Chmod(filepath.Join(root, "bin/nvcc"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, include, "cuda_runtime.h"), `#pragma once
extern "C" int cudaGetDeviceCount(int* count);
enum { cudaSuccess = 0 };
`)
	object := filepath.Join(t.TempDir(), "cudart.o")
	c := exec.Command("g++", "-x", "c++", "-c", "-", "-o", object)
	c.Stdin = strings.NewReader(`extern "C" int cudaGetDeviceCount(int* count) { *count = 0; return 0; }`)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	archive := filepath.Join(root, lib, "libcudart_static.a")
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ar", "rcs", archive, object).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestToolkitLayouts configures the fixture, which uses FindCUDA as upstream does,
// with the real CMake and toolkits in all known layouts.
func TestToolkitLayouts(t *testing.T) {
	needBuild(t)
	found := localLibraries(t)
	for _, test := range []struct {
		name   string
		layout func(t *testing.T, in *localInstance)
		want   string // part of the phase's output; "ROOT" is replaced by the instance's root
		build  bool   // compile too: checks the paths that CMake found
	}{
		{"NVIDIA's packages", func(t *testing.T, in *localInstance) {
			cudaStandIn(t, in.root+"/usr/local/cuda-12.9", "12.9", "include", "lib64")
		}, "CUDA 12.9 in ROOT/usr/local/cuda-12.9, on the image", false},
		{"without the links include and lib64", func(t *testing.T, in *localInstance) {
			cudaStandIn(t, in.root+"/usr/local/cuda-12.9", "12.9", "targets/x86_64-linux/include", "targets/x86_64-linux/lib")
		}, "CUDA 12.9 in ROOT/usr/local/cuda-12.9, on the image", true},
		{"through a link in PATH", func(t *testing.T, in *localInstance) {
			cudaStandIn(t, in.root+"/opt/nvidia/cuda", "12.4", "include", "lib64")
			if err := os.Symlink(in.root+"/opt/nvidia/cuda/bin/nvcc", filepath.Join(in.dir, "bin/nvcc")); err != nil {
				t.Fatal(err)
			}
		}, "CUDA 12.4 in ROOT/opt/nvidia/cuda, on the image", false},
		{"through two links", func(t *testing.T, in *localInstance) {
			cudaStandIn(t, in.root+"/usr/local/cuda-12.6", "12.6", "include", "lib64")
			for link, to := range map[string]string{in.root + "/usr/local/cuda": "cuda-12.6", filepath.Join(in.dir, "bin/nvcc"): in.root + "/usr/local/cuda/bin/nvcc"} {
				if err := os.Symlink(to, link); err != nil {
					t.Fatal(err)
				}
			}
		}, "CUDA 12.6 in ROOT/usr/local/cuda-12.6, on the image", false},
		{"several, with a default that is too new", func(t *testing.T, in *localInstance) {
			for _, version := range []string{"13.2", "12.9", "12.6"} {
				cudaStandIn(t, in.root+"/usr/local/cuda-"+version, version, "include", "lib64")
			}
			if err := os.Symlink("cuda-13.2", in.root+"/usr/local/cuda"); err != nil {
				t.Fatal(err)
			}
		}, "CUDA 12.9 in ROOT/usr/local/cuda-12.9, on the image", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newInstance(t, map[string]string{"nvidia-smi": "echo 'Tesla T4, 7.5, 595.45.01'\n", "systemctl": "exit 0\n"})
			for _, file := range []string{"usr/include/cuda_runtime.h", "usr/lib/x86_64-linux-gnu/libcudart_static.a"} {
				if err := os.Remove(filepath.Join(in.root, file)); err != nil {
					t.Fatal(err)
				}
			}
			test.layout(t, in)
			r := provisionOn(t, in, in.root, map[string]any{"source": oldTree(t), "execute_as_root": false, "cmake_options": []string{"-DCMAKE_BUILD_TYPE=Debug", "-DAPICORE=OFF"}})
			r.libraries = found
			r.upTo(t, "configure")
			if want := strings.ReplaceAll(test.want, "ROOT", in.root); !strings.Contains(r.said.String(), want) {
				t.Errorf("got output without %q:\n%s", want, r.said)
			}
			if !test.build {
				return
			}
			r.must(t, r.plan("build"))
			calls, err := os.ReadFile(filepath.Join(r.found.toolkit.Root, "calls"))
			if err != nil || !strings.Contains(string(calls), "-gencode arch=compute_75,code=sm_75") {
				t.Errorf("got nvcc calls %q, %v", calls, err)
			}
		})
	}
}

// TestUnsuitableToolkitIsRejected: nothing is compiled without a suitable toolkit.
func TestUnsuitableToolkitIsRejected(t *testing.T) {
	needBuild(t)
	for _, test := range []struct {
		name    string
		options map[string]any
		want    []string
	}{
		{"CUDA 13 and FindCUDA", nil, []string{"the source uses CMake's FindCUDA, which is known to work up to CUDA 12", "start from an image that has a toolkit"}},
		{"a version that the image lacks", map[string]any{"cuda_version": "12.6"}, []string{"cuda_version is 12.6", "start from an image"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newInstance(t, map[string]string{"nvidia-smi": "echo 'Tesla T4, 7.5, 595.45.01'\n", "systemctl": "exit 0\n"})
			cudaStandIn(t, in.root+"/usr/local/cuda-13.2", "13.2", "include", "lib64")
			options := map[string]any{"source": oldTree(t), "execute_as_root": false}
			for k, v := range test.options {
				options[k] = v
			}
			r := provisionOn(t, in, in.root, options)
			r.libraries = nil
			r.upTo(t, "edits")
			err := r.plan("cuda")
			if err == nil {
				t.Fatalf("got no error:\n%s", r.said)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
		})
	}
}

// TestToolkitDownload unpacks stand-ins for NVIDIA's packages outside the system.
// Their runtime is only below targets, but FindCUDA looks below the root.
func TestToolkitDownload(t *testing.T) {
	programs := map[string]string{
		"curl": `while [ $# -gt 0 ]; do case $1 in -o) out=$2 ;; esac; shift; done; echo keyring >"$out"` + "\n",
		"apt-get": `echo "$*" >>"$TMPDIR/../apt"
case "$*" in
*" update") echo "Package: cuda-crt-12-9" >"$(echo "$*" | sed 's/.*State::lists=\([^ ]*\).*/\1/')/x_Packages" ;;
*" download "*) for last; do :; done; : >"$last.deb" ;;
esac
`,
		"dpkg-deb": `case $2 in keyring.deb) exit ;; esac
root=$3/usr/local/cuda-12.9
mkdir -p "$root/bin" "$root/targets/x86_64-linux/include" "$root/targets/x86_64-linux/lib"
: >"$root/targets/x86_64-linux/include/cuda_runtime.h"
: >"$root/targets/x86_64-linux/lib/libcudart_static.a"
printf '#!/bin/sh\necho "Cuda compilation tools, release 12.9, V12.9.41"\n' >"$root/bin/nvcc"
chmod +x "$root/bin/nvcc"
`,
	}
	in := newInstance(t, programs)
	m, err := remote.New(t.Context(), in, remote.Settings{Scripts: scriptFiles(), Root: in.root})
	if err != nil {
		t.Fatal(err)
	}
	keyring := filepath.Join(t.TempDir(), "keyring")
	write(t, keyring, "keyring\n")
	s := remote.Script{Name: "cuda", Args: []string{"https://nvidia.invalid/repo", fileSum(t, keyring), "cuda-crt-12-9?", "cuda-nvvm-12-9?", "cuda-nvcc-12-9"}, Bound: 60e9}
	a, err := m.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	root := m.Scratch("cuda/usr/local/cuda-12.9")
	if all := readToolkits(a); len(all) != 1 || all[0].Version != "12.9" || all[0].NVCC != root+"/bin/nvcc" || all[0].Include != root+"/include" || all[0].Lib != root+"/lib64" {
		t.Errorf("got toolkits %+v", all)
	}
	got := in.notes("apt")
	if !strings.Contains(got, "Dir::Etc::sourceparts=/dev/null") || strings.Contains(got, " install ") {
		t.Errorf("got apt-get calls %q", got)
	}
	if !strings.Contains(got, "download cuda-crt-12-9 cuda-nvcc-12-9") {
		t.Errorf("got apt-get calls %q, want only packages in the repository", got)
	}
	s.Args[1] = strings.Repeat("0", 64)
	if _, err := m.Run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "has the SHA-256 "+fileSum(t, keyring)+", expected "+s.Args[1]) {
		t.Errorf("wrong keyring: got error %v", err)
	}
}
