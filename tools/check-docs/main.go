// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// check-docs holds the documentation to what is there: every relative link and
// anchor leads somewhere, every HCL block of README.md and docs/ passes `packer
// validate` with the plugin that PACKER_PLUGIN_PATH has, and .web-docs names the
// components that main.go registers. It asks no network. Run it in the top
// folder; PACKER names the Packer.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	files, err := markdown()
	if err == nil {
		err = check(files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(files []string) error {
	site, err := read(files)
	if err != nil {
		return err
	}
	links, findings := site.checkLinks()
	findings = append(findings, checkComponents()...)
	blocks, invalid := site.validate(os.Getenv("PACKER"))
	findings = append(findings, invalid...)
	if links == 0 || blocks == 0 {
		findings = append(findings, fmt.Errorf("%d links and %d HCL blocks were found: nothing was checked", links, blocks))
	}
	fmt.Printf("check-docs: %d files, %d links, %d HCL blocks, %d findings\n", len(files), links, blocks, len(findings))
	return errors.Join(findings...)
}

// markdown lists the repository's documents, those not yet added too.
func markdown() ([]string, error) {
	output, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "--", "*.md", "*.mdx").Output()
	if err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	var files []string
	for _, file := range strings.Fields(string(output)) {
		// Partials are read where they are included; their links start there.
		if _, err := os.Stat(file); err == nil && !strings.HasPrefix(file, "docs-partials/") {
			files = append(files, file)
		}
	}
	return files, nil
}
