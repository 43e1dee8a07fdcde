// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// sbom writes the bill of materials of a released program, as CycloneDX 1.6
// (https://cyclonedx.org/docs/1.6/json/): every Go module that was linked into
// it and the toolchain that linked it, as the program itself records them. Equal
// programs have equal bills: nothing random and no time is in one.
//
//	sbom VERSION ZIP OUTPUT
//
// ZIP holds the program and nothing else; VERSION is that of the program, which
// a build without version control does not record.
package main

import (
	"archive/zip"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sbom VERSION ZIP OUTPUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(version, archive, output string) error {
	program, err := unzip(archive)
	if err != nil {
		return err
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("reading what %s was built from: %w; expected a Go program", archive, err)
	}
	text, err := json.MarshalIndent(bill(version, info), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(output, append(text, '\n'), 0o644)
}

// unzip returns the only file of an archive.
func unzip(path string) ([]byte, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	if len(archive.File) != 1 {
		return nil, fmt.Errorf("%s holds %d files; expected the program alone", path, len(archive.File))
	}
	file, err := archive.File[0].Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

type document struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

// property holds what CycloneDX has no field for: go.sum's h1, which is the hash
// of a module's list of files and not of one file.
type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// bill lists the modules in the order of the build information, which is sorted.
func bill(version string, info *debug.BuildInfo) document {
	program := module("application", info.Main.Path, "v"+version, "")
	all := []component{module("library", "std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, dep := range info.Deps {
		linked := dep
		if dep.Replace != nil {
			linked = dep.Replace
		}
		if strings.HasPrefix(linked.Path, ".") {
			continue // a folder of this module
		}
		all = append(all, module("library", linked.Path, linked.Version, linked.Sum))
	}
	refs := make([]string, len(all))
	for i, c := range all {
		refs[i] = c.Ref
	}
	return document{
		Schema:       "http://cyclonedx.org/schema/bom-1.6.schema.json",
		Format:       "CycloneDX",
		SpecVersion:  "1.6",
		Version:      1,
		Metadata:     metadata{program},
		Components:   all,
		Dependencies: []dependency{{program.Ref, refs}},
	}
}

// module names a Go module as https://github.com/package-url/purl-spec has it.
func module(kind, path, version, sum string) component {
	purl := "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := component{Ref: purl, Type: kind, Name: path, Version: version, PURL: purl}
	if sum != "" {
		c.Properties = []property{{"go:sum", sum}}
	}
	return c
}
