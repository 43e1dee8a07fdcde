// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// minerFolders are the names of miner source folders in the documents.
var minerFolders = []string{"miner", "my-ethminer"}

// validate runs `packer validate` on every HCL block of README.md and docs/, in a
// folder with the example's template and miner source. It returns the number of
// blocks and the errors.
func (s site) validate(packer string) (int, []error) {
	if packer == "" {
		return 0, []error{fmt.Errorf("PACKER is not set; run: make check-docs")}
	}
	folder, err := workFolder()
	if err != nil {
		return 0, []error{err}
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	count := 0
	var findings []error
	for _, file := range slices.Sorted(maps.Keys(s)) {
		if file != "README.md" && !strings.HasPrefix(file, "docs/") {
			continue
		}
		for _, b := range s[file].blocks {
			count++
			if err := validate(packer, folder, whole(b.text)); err != nil {
				findings = append(findings, fmt.Errorf("%s:%d: this HCL block is not valid:\n%w", file, b.line, err))
			}
		}
	}
	return count, findings
}

func validate(packer, folder, text string) error {
	if err := os.WriteFile(filepath.Join(folder, "block.pkr.hcl"), []byte(text), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(packer, "validate", "block.pkr.hcl")
	cmd.Dir = folder
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

func workFolder() (string, error) {
	folder, err := os.MkdirTemp("", "check-docs")
	if err != nil {
		return "", err
	}
	for _, name := range minerFolders {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS("example/miner")); err != nil {
			return "", err
		}
	}
	template, err := os.ReadFile("example/eth-mining-cfn.template")
	if err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, "eth-mining-cfn.template"), template, 0o644)
}

var (
	part  = regexp.MustCompile(`\A(\s*#.*\n)*\s*(provisioner|post-processor|post-processors)\b`)
	build = regexp.MustCompile(`(?m)^build \{`)
)

// whole completes a block that is a part of a configuration: it puts a build around
// a provisioner or a post-processor, which may use var.rehearsal, and adds a build to a
// block without one.
func whole(text string) string {
	const source = "source \"ethminer-ami\" \"docs\" {\n  rehearsal = true\n  region    = \"eu-central-1\"\n}\n"
	const open, end = "build {\n  sources = [\"source.ethminer-ami.docs\"]\n", "}\n"
	switch {
	case part.MatchString(text):
		return "variable \"rehearsal\" {\n  default = false\n}\n" + source + open + text + end
	case !build.MatchString(text):
		return text + source + open + end
	}
	return text
}
