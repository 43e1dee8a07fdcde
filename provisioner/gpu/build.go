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

// buildStep matches a line of a build by CMake: "[ 45%] Building ..." of make, and
// "[12/40] Building ..." of Ninja.
var buildStep = lazyregexp.New(`^\[ *(\d+)(?:%|/(\d+))\]`)

// buildProgress returns how far a build is that has written a line: "45 %",
// "12 of 40 steps", or "" if the line does not tell.
func buildProgress(line string) string {
	switch found := buildStep.FindStringSubmatch(line); {
	case found == nil:
		return ""
	case found[2] == "":
		return found[1] + " %"
	default:
		return found[1] + " of " + found[2] + " steps"
	}
}

// build compiles the source as the login user.
func (r *run) build(ctx context.Context) (string, error) {
	start := r.now()
	a, err := r.machine.Run(ctx, remote.Script{
		Name:  "build",
		Args:  append([]string{r.config.BinaryName}, r.config.BuildCommands...),
		Env:   map[string]string{"NVCC": r.found.toolkit.NVCC},
		Bound: time.Hour,
		Lines: func(line string) {
			if done := buildProgress(line); done != "" {
				r.status.set(func() string { return fmt.Sprintf("%s after %s", done, took(r.now().Sub(start))) })
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
