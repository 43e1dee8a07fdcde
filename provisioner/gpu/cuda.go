// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// cuda selects the CUDA toolkit for the source and the GPUs, downloads one if the
// instance has none, and provides a host compiler that nvcc supports.
func (r *run) cuda(ctx context.Context) (string, error) {
	wanted, err := r.wantedToolkit(ctx)
	if err != nil {
		return "", err
	}
	chosen, refused, ok := nvidia.Choose(r.found.toolkits, wanted)
	for _, line := range refused {
		r.ui.Sayf("cuda: not used: %s", line)
	}
	how := "on the image"
	if !ok {
		if chosen, err = r.downloadToolkit(ctx, wanted, refused); err != nil {
			return "", err
		}
		how = "downloaded for the build"
	}
	r.found.toolkit = chosen
	if r.found.hostCompiler, err = r.hostCompiler(ctx); err != nil {
		return "", err
	}
	compiler := ""
	if r.found.hostCompiler != "" {
		compiler = ", host compiler " + r.found.hostCompiler
	}
	return fmt.Sprintf("CUDA %s in %s, %s%s", chosen.Version, chosen.Root, how, compiler), nil
}

// wantedToolkit returns the requirements of source, GPUs and driver.
func (r *run) wantedToolkit(ctx context.Context) (nvidia.Wanted, error) {
	w := nvidia.Wanted{Version: r.config.Settings().CUDAVersion, Compute: r.found.compute, Driver: r.found.driver}
	if len(r.config.BuildCommands) > 0 { // they need not use CMake
		return w, nil
	}
	w.CMake = true
	needs, err := r.requires(ctx)
	if err != nil {
		return w, err
	}
	w.FindCUDA = needs.findCUDA
	if w.FindCUDA && nvidia.Major(w.Version) > nvidia.FindCUDAMajor {
		r.ui.Errorf("warning: cuda_version %q: the source uses CMake's FindCUDA, which is known to work up to CUDA %d", w.Version, nvidia.FindCUDAMajor)
	}
	return w, nil
}

// downloadToolkit unpacks NVIDIA's toolkit into the scratch folder.
func (r *run) downloadToolkit(ctx context.Context, wanted nvidia.Wanted, refused []string) (nvidia.Installed, error) {
	why := ""
	if len(refused) > 0 {
		why = "; the image has no suitable toolkit: " + strings.Join(refused, "; ")
	}
	version := r.config.CUDAVersion
	if err := nvidia.CheckCompute(version, r.found.compute); err != nil {
		return nvidia.Installed{}, fmt.Errorf("cuda_version %q: %w; change cuda_version%s", version, err, why)
	}
	t, err := nvidia.ToolkitFor(r.found.distribution, r.found.arch, version)
	if err != nil {
		return nvidia.Installed{}, fmt.Errorf("%w%s", err, why)
	}
	a, err := r.machine.Run(ctx, remote.Script{
		Name:  "cuda",
		Args:  append([]string{t.Repository, t.KeyringSHA256}, t.Packages...),
		Bound: 30 * time.Minute,
	})
	if err != nil {
		return nvidia.Installed{}, err
	}
	chosen, unfit, ok := nvidia.Choose(readToolkits(a), wanted)
	if !ok {
		return nvidia.Installed{}, fmt.Errorf("NVIDIA's packages of CUDA %s contain no usable toolkit: %s; start from an image with a toolkit", version, strings.Join(unfit, "; "))
	}
	return chosen, nil
}

// hostCompiler installs an older GCC if nvcc does not support the system's, and
// returns its path, else "".
func (r *run) hostCompiler(ctx context.Context) (string, error) {
	newest := nvidia.HostGCC(r.found.toolkit.Version)
	if newest == 0 {
		return "", nil
	}
	a, err := r.machine.Run(ctx, remote.Script{Name: "gcc", Args: []string{fmt.Sprint(newest)}, Bound: time.Minute})
	if err != nil || a.Fact("fits") == "yes" {
		return "", err
	}
	name := fmt.Sprintf("g++-%d", newest)
	if _, err := r.installPackages(ctx, []string{name + "=" + name}); err != nil {
		return "", err
	}
	return "/usr/bin/" + name, nil
}
