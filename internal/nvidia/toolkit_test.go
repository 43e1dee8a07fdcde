// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"slices"
	"strings"
	"testing"
)

func TestToolkitFor(t *testing.T) {
	for _, test := range []struct{ name, distribution, arch, version, repository, packages, err string }{
		{"the default", "ubuntu 22.04", "x86_64", "12.9", "ubuntu2204/x86_64", "cuda-nvcc-12-9 cuda-crt-12-9? cuda-nvvm-12-9?", ""},
		{"CUDA 13 renamed packages", "ubuntu 24.04", "aarch64", "13.2", "ubuntu2404/sbsa", "cuda-nvcc-13-2 cuda-crt-13-2 libnvvm-13-2 libnvptxcompiler-13-2", ""},
		{"CUDA 11 has one package", "ubuntu 22.04", "x86_64", "11.8", "ubuntu2204/x86_64", "cuda-nvcc-11-8", ""},
		{"Ubuntu 24.04 has no CUDA 11", "ubuntu 24.04", "x86_64", "11.8", "", "", "starts with CUDA 12; use cuda_version \"12.9\""},
		{"no download for Debian", "debian 12", "x86_64", "12.9", "", "", "not for debian 12 on x86_64; start from an image that has a toolkit"},
	} {
		got, err := ToolkitFor(test.distribution, test.arch, test.version)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.err)
			}
			continue
		}
		if err != nil || !strings.HasSuffix(got.Repository, "/"+test.repository) || len(got.KeyringSHA256) != 64 {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
		compiler := strings.Join(got.Packages[:slices.IndexFunc(got.Packages, func(p string) bool { return strings.HasPrefix(p, "cuda-cudart") })], " ")
		if compiler != test.packages {
			t.Errorf("%s: packages %q, want %q", test.name, compiler, test.packages)
		}
	}
}

// toolkit returns a complete toolkit.
func toolkit(version string) Installed {
	root := "/usr/local/cuda-" + version
	return Installed{Version: version, NVCC: root + "/bin/nvcc", Root: root, Include: root + "/include", Lib: root + "/lib64"}
}

// TestChoose: selects the newest compatible toolkit.
func TestChoose(t *testing.T) {
	bare := toolkit("12.9")
	bare.Lib = ""
	dlami := []Installed{toolkit("13.2"), toolkit("12.9"), toolkit("12.6")}
	for _, test := range []struct {
		name   string
		found  []Installed
		wanted Wanted
		want   string // version; "" if none
		why    string // part of a rejection
	}{
		{"the newest", dlami, Wanted{}, "13.2", ""},
		{"upstream uses FindCUDA", dlami, Wanted{FindCUDA: true}, "12.9", "CUDA 13.2 in /usr/local/cuda-13.2: the source uses CMake's FindCUDA, which is known to work up to CUDA 12"},
		{"the user's choice", dlami, Wanted{Version: "12.6"}, "12.6", "cuda_version is 12.6"},
		{"the user's choice overrides known limits", dlami, Wanted{Version: "13.2", FindCUDA: true}, "13.2", ""},
		{"a choice that is absent", dlami, Wanted{Version: "12.8"}, "", "cuda_version is 12.8"},
		{"only CUDA 13", []Installed{toolkit("13.2")}, Wanted{FindCUDA: true}, "", "FindCUDA"},
		{"13 dropped Volta", dlami, Wanted{Compute: []string{"70"}}, "12.9", "it does not support compute capability 7.0, which CUDA 13.0 dropped"},
		{"Blackwell needs 12.8", []Installed{toolkit("12.4")}, Wanted{Compute: []string{"120"}}, "", "compute capability 12.0, which requires CUDA 12.8 or newer"},
		{"Ada needs 11.8", []Installed{toolkit("11.7"), toolkit("11.8")}, Wanted{Compute: []string{"75", "89"}}, "11.8", "compute capability 8.9"},
		{"a driver that is too old for 13", dlami, Wanted{Driver: "570.86.15"}, "12.9", "it requires driver branch 580 or newer, but 570.86.15 is loaded"},
		{"a driver that is new enough", dlami, Wanted{Driver: "595.45.01"}, "13.2", ""},
		{"a toolkit without the runtime", []Installed{bare, toolkit("12.4")}, Wanted{CMake: true}, "12.4", "it has no cuda_runtime.h or no libcudart_static.a"},
		{"no runtime is needed without CMake", []Installed{bare, toolkit("12.4")}, Wanted{}, "12.9", ""},
		{"12.10 is newer than 12.9", []Installed{toolkit("12.9"), toolkit("12.10")}, Wanted{}, "12.10", ""},
		{"none", nil, Wanted{}, "", ""},
	} {
		got, refused, ok := Choose(test.found, test.wanted)
		if got.Version != test.want || ok != (test.want != "") {
			t.Errorf("%s: got CUDA %q, %v, want %q", test.name, got.Version, ok, test.want)
		}
		if all := strings.Join(refused, "\n"); !strings.Contains(all, test.why) {
			t.Errorf("%s: got rejections %q, want %q", test.name, all, test.why)
		}
	}
}

func TestCheckPair(t *testing.T) {
	for _, test := range []struct {
		branch int
		cuda   string
		want   string
	}{
		{570, "12.9", ""},
		{580, "13.0", ""},
		{570, "13.0", "requires driver branch 580 or newer, but driver_branch is 570; use cuda_version \"12.9\""},
	} {
		err := CheckPair(test.branch, test.cuda)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("branch %d, CUDA %s: got %v, want %q", test.branch, test.cuda, err, test.want)
		}
	}
}

func TestHostGCC(t *testing.T) {
	for cuda, want := range map[string]int{"11.8": 11, "12.3": 12, "12.4": 13, "12.8": 14, "12.9": 14, "12.10": 14, "13.0": 15, "": 0} {
		if got := HostGCC(cuda); got != want {
			t.Errorf("CUDA %q: got GCC %d, want %d", cuda, got, want)
		}
	}
}
