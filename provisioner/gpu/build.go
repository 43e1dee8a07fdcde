// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"time"
)

// build compiles the source as the login user.
func (r *run) build(ctx context.Context) (string, error) {
	a, err := r.machine.run(ctx, script{
		name:  "build",
		args:  append([]string{r.config.BinaryName}, r.config.BuildCommands...),
		env:   map[string]string{"NVCC": r.found.nvcc},
		bound: time.Hour,
	})
	if err != nil {
		return "", r.compileError(err)
	}
	return fmt.Sprintf("%s, %s bytes", r.config.BinaryName, a.fact("bytes")), nil
}
