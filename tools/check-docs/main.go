// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command check-docs checks the documentation: the targets of all relative links and
// anchors exist, every HCL block of README.md and docs/ passes `packer validate`
// with the plugin in PACKER_PLUGIN_PATH, and .web-docs lists the components that
// main.go registers. All text of the repository avoids the wordings listed in
// words.go. It needs no network. Run it in the top folder; PACKER is the
// path of Packer.
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
	findings = append(findings, checkWords()...)
	blocks, invalid := site.validate(os.Getenv("PACKER"))
	findings = append(findings, invalid...)
	if links == 0 || blocks == 0 {
		findings = append(findings, fmt.Errorf("found %d links and %d HCL blocks: nothing was checked", links, blocks))
	}
	fmt.Printf("check-docs: %d files, %d links, %d HCL blocks, %d findings\n", len(files), links, blocks, len(findings))
	return errors.Join(findings...)
}

// markdown lists the repository's documents, including untracked ones.
func markdown() ([]string, error) {
	output, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "--", "*.md", "*.mdx").Output()
	if err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	var files []string
	for _, file := range strings.Fields(string(output)) {
		// Partials are checked in the pages that include them, where their links apply.
		if _, err := os.Stat(file); err == nil && !strings.HasPrefix(file, "docs-partials/") {
			files = append(files, file)
		}
	}
	return files, nil
}
