// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// build configures and compiles the source as the login user.
func (r *run) build(ctx context.Context) (string, error) {
	a, err := r.machine.run(ctx, script{
		name:  "build",
		args:  append([]string{r.config.BinaryName}, r.cmakeOptions()...),
		env:   map[string]string{"NVCC": r.found.nvcc},
		bound: time.Hour,
	})
	var failed *errScript
	if errors.As(err, &failed) {
		log, _ := os.ReadFile(failed.log) // none is as good as empty
		if first := firstError(r.sourcePaths(string(log))); first != "" {
			failed.reason, failed.last = failed.reason+": "+first+"\n", ""
		}
		return "", failed
	}
	if err != nil {
		return "", err
	}
	r.binary = a.fact("binary")
	return fmt.Sprintf("%s, %s bytes", r.config.BinaryName, a.fact("bytes")), nil
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
		options = append(options,
			"-DETHASHCUDA=ON",
			"-DETHASHCPU=OFF",
			"-DCUDA_PROPAGATE_HOST_FLAGS=OFF",
			"-DCMAKE_CUDA_COMPILER="+r.found.nvcc,
		)
		if r.found.compute != "" {
			options = append(options, "-DCOMPUTE="+r.found.compute)
		}
	} else {
		options = append(options, "-DETHASHCUDA=OFF", "-DETHASHCPU=ON")
	}
	return append(options, r.config.CMakeOptions...)
}

// sourcePaths turns the instance's paths into the user's.
func (r *run) sourcePaths(text string) string {
	ours := ""
	if r.config.parsed.local {
		ours = strings.TrimSuffix(r.config.Source, "/") + "/"
	}
	return strings.NewReplacer(r.machine.work+"/source/", ours, r.machine.work+"/build/", "build/").Replace(text)
}

// What tools print where something is wrong, the more telling first.
var errorPatterns = []lazyregexp.Regexp{
	// GCC, Clang: file:line:column: error: ...; nvcc: file(line): error: ...
	lazyregexp.New(`^.+(:\d+(:\d+)?|\(\d+\)): ((fatal|internal compiler) )?error\b`),
	lazyregexp.New(`^CMake Error`),
	lazyregexp.New(`: undefined reference to |: cannot find -l|multiple definition of `),
	lazyregexp.New(`(?i)killed signal|internal compiler error|no space left on device|unsupported gnu version`),
	lazyregexp.New(`(?i)\berror\b`),
}

// maxErrorLines is how much of the log the first error may show.
const maxErrorLines = 6

// firstError is the first error in a build's log with the few lines that
// belong to it, or "".
func firstError(log string) string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	for _, pattern := range errorPatterns {
		for i, line := range lines {
			if pattern.MatchString(line) {
				return strings.Join(errorBlock(lines[i:]), "\n")
			}
		}
	}
	return ""
}

// errorBlock is the error's line and what is indented or marked under it:
// the compiler's excerpt and caret, CMake's text.
func errorBlock(lines []string) []string {
	n := 1
	for n < len(lines) && n < maxErrorLines && (lines[n] == "" || lines[n][0] == ' ') {
		n++
	}
	for n > 1 && strings.TrimSpace(lines[n-1]) == "" {
		n--
	}
	return lines[:n]
}
