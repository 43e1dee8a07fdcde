// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// build compiles the source as the login user.
func (r *run) build(ctx context.Context) (string, error) {
	a, err := r.machine.Run(ctx, remote.Script{
		Name:  "build",
		Args:  append([]string{r.config.BinaryName}, r.config.BuildCommands...),
		Env:   map[string]string{"NVCC": r.found.toolkit.NVCC},
		Bound: time.Hour,
	})
	if err != nil {
		return "", r.compileError(err)
	}
	if err := r.buildMembench(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s bytes", r.config.BinaryName, a.Fact("bytes")), nil
}
