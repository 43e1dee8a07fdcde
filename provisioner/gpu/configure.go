// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// configure builds the libraries that the source needs and runs CMake.
func (r *run) configure(ctx context.Context) (string, error) {
	if len(r.config.BuildCommands) > 0 {
		return "skipped, build_commands is set", nil
	}
	if r.withCUDA() && r.found.toolkit.NVCC == "" { // phases omits cuda
		if _, err := r.cuda(ctx); err != nil {
			return "", err
		}
	}
	if _, err := r.machine.Run(ctx, remote.Script{
		Name:  "configure",
		Args:  r.cmakeOptions(),
		Env:   map[string]string{"NVCC": r.found.toolkit.NVCC},
		Bound: 30 * time.Minute,
	}); err != nil {
		return "", r.compileError(err)
	}
	if r.withCUDA() {
		return "CUDA for compute capability " + dotted(r.found.compute), nil
	}
	return "CPU", nil
}

// cmakeOptions returns the plugin's options, then the user's, which override
// them. A source ignores options that it does not define.
func (r *run) cmakeOptions() []string {
	options := []string{
		"-DCMAKE_BUILD_TYPE=Release",
		"-DHUNTER_ENABLED=OFF",
		"-DETHASHCL=OFF",
		"-DETHDBUS=OFF",
		"-DBINKERN=OFF",
		"-DAPICORE=ON",
	}
	if r.withCUDA() {
		options = append(options, "-DETHASHCUDA=ON", "-DETHASHCPU=OFF")
		options = append(options, cudaOptions(r.found)...)
	} else {
		options = append(options, "-DETHASHCUDA=OFF", "-DETHASHCPU=ON")
	}
	if r.coin() == miner.ETC {
		options = append(options, "-DETCHASH=ON") // an option of the reference miner; upstream is edited
	}
	return append(options, r.config.CMakeOptions...)
}

// cudaOptions returns the options for compiler and architectures. ethminer's
// COMPUTE takes exactly one capability, without PTX; others go through FindCUDA's
// list, to which ethminer appends. CMake's CUDA language has a separate list.
func cudaOptions(d detected) []string {
	t := d.toolkit
	options := []string{
		"-DCUDA_PROPAGATE_HOST_FLAGS=OFF",
		"-DCMAKE_CUDA_COMPILER=" + t.NVCC,
		// FindCUDA would search for these by files that CUDA has moved. It ignores
		// the given paths unless its internal root is set.
		"-DCUDA_TOOLKIT_ROOT_DIR=" + t.Root,
		"-DCUDA_TOOLKIT_ROOT_DIR_INTERNAL=" + t.Root,
		"-DCUDA_NVCC_EXECUTABLE=" + t.NVCC,
		"-DCUDA_TOOLKIT_INCLUDE=" + t.Include,
		"-DCUDA_cudart_static_LIBRARY=" + t.Lib + "/libcudart_static.a",
	}
	if d.hostCompiler != "" {
		options = append(options, "-DCUDA_HOST_COMPILER="+d.hostCompiler, "-DCMAKE_CUDA_HOST_COMPILER="+d.hostCompiler)
	}
	if len(d.compute) == 0 {
		return options
	}
	options = append(options, "-DCOMPUTE="+d.compute[0], "-DCMAKE_CUDA_ARCHITECTURES="+strings.Join(d.compute, "-real;")+"-real")
	var more []string
	for _, c := range d.compute[1:] {
		more = append(more, "-gencode", fmt.Sprintf("arch=compute_%s,code=sm_%s", c, c))
	}
	if len(more) > 0 {
		options = append(options, "-DCUDA_NVCC_FLAGS="+strings.Join(more, ";"))
	}
	return options
}
