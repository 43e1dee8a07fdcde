// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Toolkit is a download of the CUDA toolkit.
type Toolkit struct {
	Repository string
	// KeyringSHA256 is the sum of the repository's cuda-keyring_1.1-1_all.deb.
	KeyringSHA256 string
	// Packages are package names; a trailing "?" marks one that may be missing in
	// the repository.
	Packages []string
}

// DefaultCUDA is the toolkit version that is downloaded by default: the last
// CUDA 12, which still supports Volta and FindCUDA.
const DefaultCUDA = "12.9"

// FindCUDAMajor is the newest major version known to build sources that use CMake's
// old module FindCUDA, such as upstream ethminer. CUDA 13 is untested with them:
// FindCUDA looks for device_functions.h, which is deprecated since CUDA 10.
const FindCUDAMajor = 12

// keyrings are the SHA-256 sums of NVIDIA's keyring packages, by repository.
var keyrings = map[string]string{
	"ubuntu2204/x86_64": "d93190d50b98ad4699ff40f4f7af50f16a76dac3bb8da1eaaf366d47898ff8df",
	"ubuntu2204/sbsa":   "36d1aed84dfcf93ee9a0212d149f1c4187db92e03ab96a759ec0689aa438fd9e",
	"ubuntu2404/x86_64": "d2a6b11c096396d868758b86dab1823b25e14d70333f1dfa74da5ddaf6a06dba",
	"ubuntu2404/sbsa":   "6ea7d2737648936820e85677177957a0f6521b840d98eb0bbae0a4f003fa7249",
}

// ToolkitFor returns NVIDIA's packages of a toolkit. distribution is a name such as
// "ubuntu 24.04", arch is uname's, version is a version such as "12.9".
func ToolkitFor(distribution, arch, version string) (Toolkit, error) {
	name := strings.NewReplacer(" ", "", ".", "").Replace(distribution)
	machine := arch
	if arch == "aarch64" {
		machine = "sbsa"
	}
	sum, ok := keyrings[name+"/"+machine]
	if !ok {
		return Toolkit{}, fmt.Errorf("the CUDA toolkit can be downloaded for Ubuntu 22.04 and 24.04 on x86_64 and aarch64, not for %s on %s; start from an image that has a toolkit", distribution, arch)
	}
	major := Major(version)
	if name == "ubuntu2404" && major < 12 {
		return Toolkit{}, fmt.Errorf("cuda_version %q: NVIDIA's repository for Ubuntu 24.04 starts with CUDA 12; use cuda_version %q, or Ubuntu 22.04", version, DefaultCUDA)
	}
	t := Toolkit{
		Repository:    "https://developer.download.nvidia.com/compute/cuda/repos/" + name + "/" + machine,
		KeyringSHA256: sum,
	}
	// The parts that a build requires, including dependencies: packages are only
	// unpacked, so apt does not resolve them.
	for _, p := range append(compilerPackages(major), "cuda-cudart-dev", "cuda-cudart", "cuda-driver-dev", "cuda-nvrtc-dev", "cuda-nvrtc", "cuda-cccl") {
		name, optional := strings.CutSuffix(p, "?")
		name += "-" + strings.ReplaceAll(version, ".", "-")
		if optional {
			name += "?"
		}
		t.Packages = append(t.Packages, name)
	}
	return t, nil
}

// compilerPackages returns the packages of nvcc and its tools. Later versions of
// CUDA 12 moved nvcc's headers into cuda-crt and its optimizer into cuda-nvvm;
// CUDA 13 renamed the latter and moved the PTX compiler into a separate package. A
// trailing "?" marks packages that some versions lack.
func compilerPackages(major int) []string {
	switch {
	case major >= 13:
		return []string{"cuda-nvcc", "cuda-crt", "libnvvm", "libnvptxcompiler"}
	case major == 12:
		return []string{"cuda-nvcc", "cuda-crt?", "cuda-nvvm?"}
	}
	return []string{"cuda-nvcc"}
}

// Major returns a version's first number, or 0.
func Major(version string) int {
	text, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(text)
	return n
}

// Installed is a CUDA toolkit on an instance.
type Installed struct {
	// Version is nvcc's release, such as "12.9".
	Version string
	// NVCC is the compiler's path with symbolic links resolved: nvcc and CMake
	// derive a wrong root from a link's folder.
	NVCC string
	// Root is the folder of the toolkit, Include the one with cuda_runtime.h and
	// Lib the one with libcudart_static.a; "" if not found.
	Root, Include, Lib string
}

// Wanted holds the requirements for a toolkit.
type Wanted struct {
	// Version is the version that the user requested, "" for any.
	Version string
	// CMake is true if the source is built with CMake, which requires the toolkit's
	// runtime.
	CMake bool
	// FindCUDA is true if the source compiles CUDA with CMake's old module FindCUDA.
	FindCUDA bool
	// Compute lists the capabilities to build for, without the dot.
	Compute []string
	// Driver is the loaded version, "" if unknown.
	Driver string
}

// Choose returns the newest toolkit that meets w, and a line for each that does
// not. ok is false if none does.
func Choose(found []Installed, w Wanted) (chosen Installed, refused []string, ok bool) {
	for _, t := range slices.SortedFunc(slices.Values(found), func(x, y Installed) int { return -compareVersions(x.Version, y.Version) }) {
		reason := w.refuses(t)
		switch {
		case reason != "":
			refused = append(refused, fmt.Sprintf("CUDA %s in %s: %s", t.Version, cmp.Or(t.Root, t.NVCC), reason))
		case !ok:
			chosen, ok = t, true
		}
	}
	return chosen, refused, ok
}

// refuses returns the reason why a toolkit does not meet w, or "".
func (w Wanted) refuses(t Installed) string {
	major := Major(t.Version)
	switch {
	case w.Version != "" && t.Version != w.Version:
		return "cuda_version is " + w.Version
	case w.Version == "" && w.FindCUDA && major > FindCUDAMajor:
		return fmt.Sprintf("the source uses CMake's FindCUDA, which is known to work up to CUDA %d", FindCUDAMajor)
	case w.CMake && (t.Include == "" || t.Lib == ""):
		return "it has no cuda_runtime.h or no libcudart_static.a"
	}
	if err := CheckCompute(t.Version, w.Compute); err != nil {
		return err.Error()
	}
	if least := driverFor(major); w.Driver != "" && Major(w.Driver) < least {
		return fmt.Sprintf("it requires driver branch %d or newer, but %s is loaded", least, w.Driver)
	}
	return ""
}

// driverFor returns the oldest driver branch that supports a major version of CUDA
// (https://docs.nvidia.com/deploy/cuda-compatibility/).
func driverFor(major int) int {
	switch {
	case major >= 13:
		return firstForCUDA13
	case major == 12:
		return 525
	}
	return 450
}

// computeVersions maps a capability to the first toolkit that supports it and the
// first that no longer does (CUDA release notes).
var computeVersions = map[string]struct{ first, last string }{
	"37": {"6.5", "12.0"}, "50": {"6.5", "13.0"}, "52": {"6.5", "13.0"}, "60": {"8.0", "13.0"}, "61": {"8.0", "13.0"},
	"70": {"9.0", "13.0"}, "75": {"10.0", ""}, "80": {"11.0", ""}, "86": {"11.1", ""}, "89": {"11.8", ""}, "90": {"11.8", ""},
	"100": {"12.8", ""}, "103": {"12.9", ""}, "120": {"12.8", ""},
}

// CheckCompute returns an error if a toolkit does not support one of the
// capabilities. Unknown capabilities are left to the compiler.
func CheckCompute(cuda string, compute []string) error {
	for _, c := range compute {
		known, ok := computeVersions[c]
		if !ok || len(c) < 2 {
			continue
		}
		dotted := c[:len(c)-1] + "." + c[len(c)-1:]
		switch {
		case compareVersions(cuda, known.first) < 0:
			return fmt.Errorf("it does not support compute capability %s, which requires CUDA %s or newer", dotted, known.first)
		case known.last != "" && compareVersions(cuda, known.last) >= 0:
			return fmt.Errorf("it does not support compute capability %s, which CUDA %s dropped", dotted, known.last)
		}
	}
	return nil
}

// compareVersions compares two dotted versions by their numbers.
func compareVersions(x, y string) int {
	a, b := strings.Split(x, "."), strings.Split(y, ".")
	for i := range max(len(a), len(b)) {
		var m, n int
		if i < len(a) {
			m, _ = strconv.Atoi(a[i])
		}
		if i < len(b) {
			n, _ = strconv.Atoi(b[i])
		}
		if m != n {
			return cmp.Compare(m, n)
		}
	}
	return 0
}

// CheckPair returns an error if a driver branch does not support a toolkit.
func CheckPair(branch int, cuda string) error {
	if least := driverFor(Major(cuda)); branch < least {
		return fmt.Errorf("cuda_version %q requires driver branch %d or newer, but driver_branch is %d; use cuda_version %q", cuda, least, branch, DefaultCUDA)
	}
	return nil
}

// HostGCC returns the newest GCC that a toolkit's nvcc supports (otherwise
// "unsupported GNU version"), 0 if unknown. The CUDA installation guide lists
// them: https://docs.nvidia.com/cuda/cuda-installation-guide-linux/#host-compiler-support-policy.
func HostGCC(cuda string) int {
	switch major := Major(cuda); {
	case major == 11:
		return 11
	case major == 12 && compareVersions(cuda, "12.4") < 0:
		return 12
	case major == 12 && compareVersions(cuda, "12.8") < 0:
		return 13
	case major == 12:
		return 14
	case major == 13:
		return 15
	}
	return 0
}
