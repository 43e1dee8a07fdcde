// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// Disk space for a build, in MiB: source and build, and with CUDA the unpacked
// toolkit.
const (
	scratchCPU  = 200
	scratchCUDA = 1500
)

// toolkit creates the scratch folder and installs missing build dependencies.
func (r *run) toolkit(ctx context.Context) (string, error) {
	place, err := r.makeScratch(ctx)
	if err != nil {
		return "", err
	}
	installed, err := r.installPackages(ctx, r.packages())
	if err != nil {
		return "", err
	}
	said := "nothing to install"
	if installed != "" {
		said = "installed " + installed
	}
	return said + ", scratch: " + place, nil
}

func (r *run) makeScratch(ctx context.Context) (string, error) {
	room := scratchCPU
	if r.withCUDA() {
		room = scratchCUDA
	}
	a, err := r.machine.Run(ctx, remote.Script{
		Name:   "scratch",
		Args:   append([]string{strconv.Itoa(room), r.machine.User}, r.found.instanceStore...),
		AsRoot: true,
		Bound:  5 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	return a.Fact("scratch"), nil
}

// packages returns the arguments of toolkit.sh: a package, or a program and the
// package that provides it.
func (r *run) packages() []string {
	packages := []string{"cmake=cmake", "c++|g++|clang++=g++", "make|ninja=ninja-build"}
	switch r.config.Settings().Kind {
	case config.SourceGit:
		// Git cannot fetch over https without certificates.
		packages = append(packages, "git=git", "git=ca-certificates")
	case config.SourceTarball:
		packages = append(packages, "curl=curl", "curl=ca-certificates")
	}
	if len(r.config.Patches) > 0 {
		packages = append(packages, "patch=patch")
	}
	return append(packages, r.config.BuildPackages...)
}

// installPackages installs packages with toolkit.sh.
func (r *run) installPackages(ctx context.Context, packages []string) (installed string, err error) {
	a, err := r.machine.Run(ctx, remote.Script{Name: "toolkit", Args: packages, AsRoot: true, Bound: 15 * time.Minute})
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(a.Fact("installed")), nil
}
