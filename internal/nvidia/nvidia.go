// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package nvidia knows what NVIDIA's driver and toolkit are called on Ubuntu,
// and which of them an EC2 instance type takes. It is pure: names in, names out.
package nvidia

import (
	"fmt"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
)

// known is what the catalogue has of an instance type or a family, unless that
// cannot be provisioned.
func known(instanceType string) (gpucatalog.Entry, error) {
	e, err := gpucatalog.Lookup(instanceType)
	if err == nil && e.Refused != "" {
		err = fmt.Errorf("instance type %q: %s; choose another type, such as g4dn.xlarge", instanceType, e.Refused)
	}
	return e, err
}

// Compute is the compute capability of an instance type or a family, without
// the point: "75".
func Compute(instanceType string) (string, error) {
	e, err := known(instanceType)
	return e.Compute, err
}

// Branches of the driver.
const (
	// DefaultBranch is a production branch that every supported GPU takes.
	DefaultBranch = 580
	// firstForCUDA13 is the first that CUDA 13 runs on.
	firstForCUDA13 = 580
)

// Driver is what to install for a GPU.
type Driver struct {
	Branch   int
	Packages []string
	// FabricManager says that nvidia-fabricmanager is among them and is to run.
	FabricManager bool
}

// DriverFor names Ubuntu's packages of a driver for an instance type; "" stands
// for one that is not EC2's. Kernel modules are the signed ones that Ubuntu
// builds for the AWS kernel: nothing is compiled at each kernel's upgrade. A
// name with "=driver" behind it must have the driver's own version.
func DriverFor(instanceType string, branch int) (Driver, error) {
	var g gpucatalog.Entry
	if instanceType != "" {
		var err error
		if g, err = known(instanceType); err != nil {
			return Driver{}, err
		}
	}
	if g.LastBranch > 0 && branch > g.LastBranch {
		return Driver{}, fmt.Errorf("driver_branch %d: %s has a %s, which no branch after %d knows; expected driver_branch %d or less", branch, instanceType, g.Name, g.LastBranch, g.LastBranch)
	}
	flavour := "-open"
	if g.Proprietary {
		flavour = ""
	}
	d := Driver{
		Branch: branch,
		Packages: []string{
			"linux-aws",
			fmt.Sprintf("linux-modules-nvidia-%d-server%s-aws", branch, flavour),
			fmt.Sprintf("nvidia-headless-no-dkms-%d-server%s", branch, flavour),
			fmt.Sprintf("nvidia-utils-%d-server", branch),
		},
		FabricManager: g.FabricManager,
	}
	if g.FabricManager {
		d.Packages = append(d.Packages, fmt.Sprintf("nvidia-fabricmanager-%d=driver", branch))
	}
	return d, nil
}

// Toolkit is where the CUDA toolkit comes from.
type Toolkit struct {
	Repository string
	// KeyringSHA256 is of the repository's cuda-keyring_1.1-1_all.deb.
	KeyringSHA256 string
	Packages      []string
}

// DefaultCUDA is the toolkit that ethminer is built with: the last of CUDA 12,
// which still knows Volta and ships FindCUDA's old names.
const DefaultCUDA = "12.9"

// keyrings are the SHA-256 sums of NVIDIA's keyring packages, by repository.
var keyrings = map[string]string{
	"ubuntu2204/x86_64": "d93190d50b98ad4699ff40f4f7af50f16a76dac3bb8da1eaaf366d47898ff8df",
	"ubuntu2204/sbsa":   "36d1aed84dfcf93ee9a0212d149f1c4187db92e03ab96a759ec0689aa438fd9e",
	"ubuntu2404/x86_64": "d2a6b11c096396d868758b86dab1823b25e14d70333f1dfa74da5ddaf6a06dba",
	"ubuntu2404/sbsa":   "6ea7d2737648936820e85677177957a0f6521b840d98eb0bbae0a4f003fa7249",
}

// ToolkitFor names NVIDIA's packages of a toolkit. distribution is as in
// "ubuntu 24.04", arch as uname has it, version as in "12.9".
func ToolkitFor(distribution, arch, version string) (Toolkit, error) {
	name := strings.NewReplacer(" ", "", ".", "").Replace(distribution)
	machine := arch
	if arch == "aarch64" {
		machine = "sbsa"
	}
	sum, ok := keyrings[name+"/"+machine]
	if !ok {
		return Toolkit{}, fmt.Errorf("the CUDA toolkit for %s on %s is not known here; expected Ubuntu 22.04 or 24.04 on x86_64 or aarch64, or an image that has it", distribution, arch)
	}
	dashed := strings.ReplaceAll(version, ".", "-")
	t := Toolkit{
		Repository:    "https://developer.download.nvidia.com/compute/cuda/repos/" + name + "/" + machine,
		KeyringSHA256: sum,
	}
	// What a compilation takes of the toolkit; the libraries' libraries are
	// listed too, since nothing resolves what is only unpacked.
	for _, p := range []string{"cuda-nvcc", "cuda-crt", "cuda-nvvm", "cuda-cudart-dev", "cuda-cudart", "cuda-driver-dev", "cuda-nvrtc-dev", "cuda-nvrtc", "cuda-cccl"} {
		t.Packages = append(t.Packages, p+"-"+dashed)
	}
	return t, nil
}

// CheckPair says whether a driver's branch runs what a toolkit builds, and
// whether the toolkit builds for the capabilities.
func CheckPair(branch int, cuda string, compute []string) error {
	major, _, _ := strings.Cut(cuda, ".")
	if major != "13" {
		return nil
	}
	if branch < firstForCUDA13 {
		return fmt.Errorf("cuda_version %q needs a driver of branch %d or newer, and driver_branch is %d; take cuda_version %q", cuda, firstForCUDA13, branch, DefaultCUDA)
	}
	for _, c := range compute {
		if len(c) == 2 && c < "75" {
			return fmt.Errorf("cuda_version %q builds for no GPU under compute capability 7.5, and one here has %s.%s; take cuda_version %q", cuda, c[:1], c[1:], DefaultCUDA)
		}
	}
	return nil
}

// HostGCC is the newest GCC that a toolkit's nvcc takes ("unsupported GNU
// version" otherwise), 0 when that is not known. The CUDA installation guide
// lists them: https://docs.nvidia.com/cuda/cuda-installation-guide-linux/#host-compiler-support-policy.
func HostGCC(cuda string) int {
	major, minor, _ := strings.Cut(cuda, ".")
	switch {
	case major == "11":
		return 11
	case major == "12" && minor < "4":
		return 12
	case major == "12" && minor < "8":
		return 13
	case major == "12":
		return 14
	case major == "13":
		return 15
	}
	return 0
}
