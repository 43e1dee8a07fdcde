// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"errors"
	"os"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// compileError adds the first error in a build's log to the failure, with the
// user's paths instead of the instance's.
func (r *run) compileError(err error) error {
	var failed *remote.ScriptError
	if !errors.As(err, &failed) {
		return err
	}
	log, _ := os.ReadFile(failed.Log) // a missing log counts as empty
	if first := firstError(r.sourcePaths(string(log))); first != "" {
		failed.Reason, failed.Last = failed.Reason+": "+first+"\n", ""
	}
	return failed
}

// sourcePaths replaces the instance's paths with the user's.
func (r *run) sourcePaths(text string) string {
	ours := ""
	if r.config.Settings().Kind == config.SourceFolder {
		ours = strings.TrimSuffix(r.config.Source, "/") + "/"
	}
	return strings.NewReplacer(r.machine.Scratch("source/"), ours, r.machine.Scratch("build/"), "build/").Replace(text)
}

// errorPatterns match error lines of build tools, the most specific first.
var errorPatterns = []lazyregexp.Regexp{
	// GCC, Clang: file:line:column: error: ...; nvcc: file(line): error: ...
	lazyregexp.New(`^.+(:\d+(:\d+)?|\(\d+\)): ((fatal|internal compiler) )?error\b`),
	lazyregexp.New(`^CMake Error`),
	lazyregexp.New(`: undefined reference to |: cannot find -l|multiple definition of `),
	lazyregexp.New(`(?i)killed signal|internal compiler error|no space left on device|unsupported gnu version`),
	lazyregexp.New(`(?i)\berror\b`),
}

// maxErrorLines limits the lines of the first error.
const maxErrorLines = 6

// firstError returns the first error in a build's log with the lines that belong
// to it, or "".
func firstError(log string) string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	for _, pattern := range errorPatterns {
		for i, line := range lines {
			if pattern.MatchString(line) {
				block := errorBlock(lines[i:])
				for i, line := range block {
					block[i] = miner.Printable(line)
				}
				return strings.Join(block, "\n")
			}
		}
	}
	return ""
}

// errorBlock returns the error line and the indented lines below it: the
// compiler's excerpt and caret, CMake's text.
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
