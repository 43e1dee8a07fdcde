// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	registered = regexp.MustCompile(`set\.Register(Builder|Provisioner|PostProcessor|Datasource)\("([a-z-]+)"`)
	described  = regexp.MustCompile(`component \{\s*type\s*= "([a-z-]+)"\s*name\s*= "[^"]+"\s*slug\s*= "([a-z-]+)"`)
	siteTypes  = map[string]string{
		"Builder": "builder", "Provisioner": "provisioner", "PostProcessor": "post-processor", "Datasource": "data-source",
	}
)

// checkComponents compares the components that the plugin has with those that
// .web-docs shows.
func checkComponents() []error {
	var findings []error
	program, err := os.ReadFile("main.go")
	if err != nil {
		return []error{err}
	}
	metadata, err := os.ReadFile(".web-docs/metadata.hcl")
	if err != nil {
		return []error{err}
	}
	pages, err := filepath.Glob(".web-docs/components/*/*/README.md")
	if err != nil {
		return []error{err}
	}
	var has, says, shows []string
	for _, m := range registered.FindAllStringSubmatch(string(program), -1) {
		has = append(has, siteTypes[m[1]]+"/"+m[2])
	}
	for _, m := range described.FindAllStringSubmatch(string(metadata), -1) {
		says = append(says, m[1]+"/"+m[2])
	}
	for _, p := range pages {
		kind := filepath.Dir(filepath.Dir(p))
		shows = append(shows, filepath.Base(kind)+"/"+filepath.Base(filepath.Dir(p)))
	}
	slices.Sort(has)
	slices.Sort(says)
	slices.Sort(shows)
	if !slices.Equal(has, says) {
		findings = append(findings, fmt.Errorf(".web-docs/metadata.hcl: names %s; main.go registers %s", strings.Join(says, ", "), strings.Join(has, ", ")))
	}
	if !slices.Equal(has, shows) {
		findings = append(findings, fmt.Errorf(".web-docs/components: has pages of %s; main.go registers %s", strings.Join(shows, ", "), strings.Join(has, ", ")))
	}
	return findings
}
