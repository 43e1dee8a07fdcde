// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// configure builds the libraries that the source needs and runs CMake.
func (r *run) configure(ctx context.Context) (string, error) {
	if len(r.config.BuildCommands) > 0 {
		return "left to build_commands", nil
	}
	if r.found.device == deviceCUDA {
		var err error
		if r.found.hostCompiler, err = r.findHostCompiler(ctx); err != nil {
			return "", err
		}
	}
	if _, err := r.machine.run(ctx, script{
		name:  "configure",
		args:  r.cmakeOptions(),
		env:   map[string]string{"NVCC": r.found.nvcc},
		bound: 30 * time.Minute,
	}); err != nil {
		return "", r.compileError(err)
	}
	if r.found.device == deviceCUDA {
		return "CUDA for compute capability " + dotted(r.found.compute), nil
	}
	return "CPU", nil
}

// cmakeOptions are the plugin's, then the user's, which so win. A source that
// does not know one of them ignores it.
func (r *run) cmakeOptions() []string {
	options := []string{
		"-DCMAKE_BUILD_TYPE=Release",
		"-DHUNTER_ENABLED=OFF",
		"-DETHASHCL=OFF",
		"-DETHDBUS=OFF",
		"-DBINKERN=OFF",
		"-DAPICORE=ON",
	}
	if r.found.device == deviceCUDA {
		options = append(options, "-DETHASHCUDA=ON", "-DETHASHCPU=OFF")
		options = append(options, cudaOptions(r.found)...)
	} else {
		options = append(options, "-DETHASHCUDA=OFF", "-DETHASHCPU=ON")
	}
	if r.coin() == miner.ETC {
		options = append(options, "-DETCHASH=ON") // the reference miner's; upstream is edited
	}
	return append(options, r.config.CMakeOptions...)
}

// cudaOptions name the compiler and the architectures. ethminer's COMPUTE is
// one capability and no other, without PTX; more come in through FindCUDA's own
// list, to which ethminer appends. CMake's own CUDA has a list of its own.
func cudaOptions(d detected) []string {
	options := []string{
		"-DCUDA_PROPAGATE_HOST_FLAGS=OFF",
		"-DCMAKE_CUDA_COMPILER=" + d.nvcc,
		"-DCUDA_TOOLKIT_ROOT_DIR=" + strings.TrimSuffix(d.nvcc, "/bin/nvcc"),
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

// dotted writes capabilities as NVIDIA does: "7.5 and 8.6".
func dotted(compute []string) string {
	var all []string
	for _, c := range compute {
		if len(c) > 1 {
			c = c[:len(c)-1] + "." + c[len(c)-1:]
		}
		all = append(all, c)
	}
	return strings.Join(all, " and ")
}
