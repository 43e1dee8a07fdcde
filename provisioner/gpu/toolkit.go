// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// Room that a build needs, in MiB: a source and its build, and with CUDA the
// unpacked toolkit too.
const (
	scratchCPU  = 200
	scratchCUDA = 1500
)

// toolkit makes the scratch folder and installs what the build needs and the
// instance lacks.
func (r *run) toolkit(ctx context.Context) (string, error) {
	place, err := r.makeScratch(ctx)
	if err != nil {
		return "", err
	}
	a, err := r.machine.run(ctx, script{name: "toolkit", args: r.packages(), asRoot: true, bound: 15 * time.Minute})
	if err != nil {
		return "", err
	}
	said := "all there"
	if installed := a.fact("installed"); installed != "" {
		said = "installed " + strings.TrimSpace(installed)
	}
	if r.found.device == deviceCUDA {
		cuda, err := r.cuda(ctx)
		if err != nil {
			return "", err
		}
		said += ", " + cuda
	}
	return said + ", scratch: " + place, nil
}

func (r *run) makeScratch(ctx context.Context) (string, error) {
	room := scratchCPU
	if r.found.device == deviceCUDA {
		room = scratchCUDA
	}
	a, err := r.machine.run(ctx, script{
		name:   "scratch",
		args:   append([]string{strconv.Itoa(room), r.machine.user}, r.found.instanceStore...),
		asRoot: true,
		bound:  5 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	return a.fact("scratch"), nil
}

// packages are what toolkit.sh is to have: a program with the package that
// brings it, or a package.
func (r *run) packages() []string {
	packages := []string{"cmake=cmake", "c++|g++|clang++=g++", "make|ninja=ninja-build"}
	switch r.config.parsed.kind {
	case sourceGit:
		// Git without certificates cannot fetch by https.
		packages = append(packages, "git=git", "git=ca-certificates")
	case sourceTarball:
		packages = append(packages, "curl=curl", "curl=ca-certificates")
	}
	if len(r.config.Patches) > 0 {
		packages = append(packages, "patch=patch")
	}
	if r.config.parsed.upstream {
		packages = append(packages, "curl=curl", "libboost-system-dev", "libboost-filesystem-dev", "libboost-thread-dev", "libjsoncpp-dev", "libssl-dev")
	}
	return append(packages, r.config.BuildPackages...)
}

// cuda sees that there is a toolkit, and a compiler that it takes.
func (r *run) cuda(ctx context.Context) (string, error) {
	if r.found.nvcc == "" {
		if err := nvidia.CheckPair(r.config.DriverBranch, r.config.CUDAVersion, r.found.compute); err != nil {
			return "", err
		}
		t, err := nvidia.ToolkitFor(r.found.distribution, r.found.arch, r.config.CUDAVersion)
		if err != nil {
			return "", err
		}
		a, err := r.machine.run(ctx, script{
			name:  "cuda",
			args:  append([]string{t.Repository, t.KeyringSHA256}, t.Packages...),
			bound: 30 * time.Minute,
		})
		if err != nil {
			return "", err
		}
		r.found.nvcc, r.found.cuda = a.fact("nvcc"), a.fact("cuda")
	}
	host, err := r.findHostCompiler(ctx)
	if err != nil {
		return "", err
	}
	if host != "" {
		name := strings.TrimPrefix(host, "/usr/bin/")
		if _, err := r.machine.run(ctx, script{name: "toolkit", args: []string{name + "=" + name}, asRoot: true, bound: 15 * time.Minute}); err != nil {
			return "", err
		}
	}
	return "CUDA " + r.found.cuda, nil
}

// findHostCompiler names an older GCC where nvcc takes none as new as the
// system's, else "".
func (r *run) findHostCompiler(ctx context.Context) (string, error) {
	newest := nvidia.HostGCC(r.found.cuda)
	if newest == 0 {
		return "", nil
	}
	a, err := r.machine.run(ctx, script{name: "gcc", args: []string{strconv.Itoa(newest)}, bound: time.Minute})
	if err != nil || a.fact("fits") == "yes" {
		return "", err
	}
	return fmt.Sprintf("/usr/bin/g++-%d", newest), nil
}
