// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// buildProgress matches a line of make's output as CMake writes it: "[ 45%] Building ...".
var buildProgress = lazyregexp.New(`^\[ *(\d+)%\]`)

// build compiles the source as the login user.
func (r *run) build(ctx context.Context) (string, error) {
	start := r.now()
	a, err := r.machine.Run(ctx, remote.Script{
		Name:  "build",
		Args:  append([]string{r.config.BinaryName}, r.config.BuildCommands...),
		Env:   map[string]string{"NVCC": r.found.toolkit.NVCC},
		Bound: time.Hour,
		Lines: func(line string) {
			if found := buildProgress.FindStringSubmatch(line); found != nil {
				r.status.set(func() string { return fmt.Sprintf("%s %% after %s", found[1], took(r.now().Sub(start))) })
			}
		},
	})
	r.status.clear()
	if err != nil {
		return "", r.compileError(err)
	}
	if err := r.buildMembench(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s bytes", r.config.BinaryName, a.Fact("bytes")), nil
}
