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

// checkComponents compares the components that main.go registers with those in
// .web-docs.
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
		findings = append(findings, fmt.Errorf(".web-docs/metadata.hcl: lists %s; main.go registers %s", strings.Join(says, ", "), strings.Join(has, ", ")))
	}
	if !slices.Equal(has, shows) {
		findings = append(findings, fmt.Errorf(".web-docs/components: has pages of %s; main.go registers %s", strings.Join(shows, ", "), strings.Join(has, ", ")))
	}
	for _, component := range has {
		findings = append(findings, checkOptions(component)...)
	}
	return findings
}

var (
	schema = regexp.MustCompile(`(?m)^func \(\*FlatConfig\) HCL2Spec\(\)[^{]*\{\n([\s\S]*?)^\}`)
	key    = regexp.MustCompile(`(?m)^\s*"([a-z0-9_]+)":`)
	// undocumented matches options that Packer sets itself, that apply to Windows
	// only, or that the SDK keeps for old templates without documentation.
	undocumented = regexp.MustCompile(`^(packer_.*|winrm_.*|ssh_public_key|ssh_private_key|ssh_wait_timeout|temporary_key_pair_name|spot_price_auto_product)$`)
)

// checkOptions checks that a component's page documents every option.
func checkOptions(component string) []error {
	folder := strings.Replace(component, "data-source/", "datasource/", 1)
	sources, err := filepath.Glob(filepath.Join(folder, "*", "config.hcl2spec.go")) // in a package of the component's options
	if err != nil {
		return []error{err}
	}
	sources = append(sources, filepath.Join(folder, "config.hcl2spec.go"))
	source := sources[0]
	text, err := os.ReadFile(source)
	if err != nil {
		return []error{err}
	}
	file := filepath.Join(".web-docs/components", component, "README.md")
	page, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	return missing(source, string(text), file, string(page))
}

func missing(source, text, file, page string) []error {
	body := schema.FindStringSubmatch(text)
	if body == nil {
		return []error{fmt.Errorf("%s: found no HCL2Spec of FlatConfig", source)}
	}
	documented := parse(page).anchors
	var findings []error
	for _, option := range key.FindAllStringSubmatch(body[1], -1) {
		if !documented[option[1]] && !undocumented.MatchString(option[1]) {
			findings = append(findings, fmt.Errorf("%s: lacks the option %q of %s; include the partial that has it", file, option[1], source))
		}
	}
	return findings
}
