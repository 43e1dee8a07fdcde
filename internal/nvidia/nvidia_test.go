// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"slices"
	"strings"
	"testing"
)

func TestDriverFor(t *testing.T) {
	for _, test := range []struct {
		name, instanceType string
		branch             int
		want, err          string
	}{
		{"Turing takes the open module", "g4dn.xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server", ""},
		{"so does one on arm", "g5g.xlarge", 570, "linux-aws linux-modules-nvidia-570-server-open-aws nvidia-headless-no-dkms-570-server-open nvidia-utils-570-server", ""},
		{"Volta needs the proprietary one", "p3.2xlarge", 580, "linux-aws linux-modules-nvidia-580-server-aws nvidia-headless-no-dkms-580-server nvidia-utils-580-server", ""},
		{"and no newer branch", "p3.2xlarge", 590, "", "driver_branch 590: p3.2xlarge has a V100"},
		{"NVSwitch needs the fabric manager, at the driver's version", "p4d.24xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server nvidia-fabricmanager-580=driver", ""},
		{"one GPU has no switch", "p5.4xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server", ""},
		{"eight have", "p5.48xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server nvidia-fabricmanager-580=driver", ""},
		{"K80 is past its end", "p2.xlarge", 580, "", "K80 needs the driver branch 470"},
		{"M60 too", "g3.4xlarge", 580, "", "M60 is past supporting"},
		{"a fraction of a GPU", "g6f.large", 580, "", "GRID driver"},
		{"no GPU", "m5.large", 580, "", `instance type "m5.large": no GPU type`},
	} {
		got, err := DriverFor(test.instanceType, test.branch)
		if strings.Join(got.Packages, " ") != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v; expected %q, %q", test.name, got.Packages, err, test.want, test.err)
		}
		if got.FabricManager != strings.Contains(test.want, "fabricmanager") {
			t.Errorf("%s: fabric manager %v", test.name, got.FabricManager)
		}
	}
}

func TestToolkitFor(t *testing.T) {
	for _, test := range []struct{ distribution, arch, want string }{
		{"ubuntu 22.04", "x86_64", "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64"},
		{"ubuntu 24.04", "aarch64", "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/sbsa"},
		{"debian 12", "x86_64", ""},
	} {
		got, err := ToolkitFor(test.distribution, test.arch, "12.9")
		if got.Repository != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s %s: %q, %v; expected %q", test.distribution, test.arch, got.Repository, err, test.want)
		}
		if err == nil && (!slices.Contains(got.Packages, "cuda-nvcc-12-9") || len(got.KeyringSHA256) != 64) {
			t.Errorf("%s %s: %+v", test.distribution, test.arch, got)
		}
	}
}

func TestCheckPair(t *testing.T) {
	for _, test := range []struct {
		branch  int
		cuda    string
		compute []string
		want    string
	}{
		{570, "12.9", []string{"70"}, ""},
		{580, "13.0", []string{"75", "100"}, ""},
		{570, "13.0", nil, "needs a driver of branch 580"},
		{580, "13.0", []string{"70"}, "one here has 7.0"},
	} {
		err := CheckPair(test.branch, test.cuda, test.compute)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("branch %d, CUDA %s, %v: %v; expected %q", test.branch, test.cuda, test.compute, err, test.want)
		}
	}
}

func TestHostGCC(t *testing.T) {
	for cuda, want := range map[string]int{"11.8": 11, "12.3": 12, "12.4": 13, "12.8": 14, "12.9": 14, "13.0": 15, "": 0} {
		if got := HostGCC(cuda); got != want {
			t.Errorf("CUDA %q: GCC %d, expected %d", cuda, got, want)
		}
	}
}
