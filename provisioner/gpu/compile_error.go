// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"errors"
	"os"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// compileError puts the first error of a build's log in the place of "exit code
// 2", with the user's paths instead of the instance's.
func (r *run) compileError(err error) error {
	var failed *errScript
	if !errors.As(err, &failed) {
		return err
	}
	log, _ := os.ReadFile(failed.log) // none is as good as empty
	if first := firstError(r.sourcePaths(string(log))); first != "" {
		failed.reason, failed.last = failed.reason+": "+first+"\n", ""
	}
	return failed
}

// sourcePaths turns the instance's paths into the user's.
func (r *run) sourcePaths(text string) string {
	ours := ""
	if r.config.parsed.kind == sourceFolder {
		ours = strings.TrimSuffix(r.config.Source, "/") + "/"
	}
	return strings.NewReplacer(r.machine.scratch("source/"), ours, r.machine.scratch("build/"), "build/").Replace(text)
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
