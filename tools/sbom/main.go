// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command sbom writes the bill of materials of a released binary in CycloneDX 1.6
// (https://cyclonedx.org/docs/1.6/json/): the linked Go modules and the toolchain, as
// recorded in the binary. It contains no random value and no time, so that equal
// binaries have equal bills.
//
//	sbom VERSION ZIP OUTPUT
//
// ZIP contains only the binary. VERSION is the version of the binary, which a build
// without version control does not record.
package main

import (
	"archive/zip"
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
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
		return fmt.Errorf("reading the build information of %s: %w; want a Go binary", archive, err)
	}
	var text bytes.Buffer
	encoder := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bill(version, info), cdx.SpecVersion1_6); err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}
	return os.WriteFile(output, text.Bytes(), 0o644)
}

// unzip returns the only file of an archive.
func unzip(path string) ([]byte, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	if len(archive.File) != 1 {
		return nil, fmt.Errorf("%s: got %d files, want only the binary", path, len(archive.File))
	}
	file, err := archive.File[0].Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// bill lists the modules in the order of the build information, which is sorted.
func bill(version string, info *debug.BuildInfo) *cdx.BOM {
	program := module(cdx.ComponentTypeApplication, info.Main.Path, "v"+version)
	all := []cdx.Component{module(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dep := range info.Deps {
		linked := dep
		if dep.Replace != nil {
			linked = dep.Replace
		}
		if strings.HasPrefix(linked.Path, ".") {
			continue // replaced by a folder of this module
		}
		c := module(cdx.ComponentTypeLibrary, linked.Path, linked.Version)
		if linked.Sum != "" {
			// CycloneDX has no field for the h1 hash of go.sum, which covers a
			// module's list of files.
			c.Properties = &[]cdx.Property{{Name: "go:sum", Value: linked.Sum}}
		}
		all = append(all, c)
	}
	refs := make([]string, len(all))
	for i, c := range all {
		refs[i] = c.BOMRef
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &program}
	bom.Components = &all
	bom.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	return bom
}

// module returns the package URL of a Go module; see https://github.com/package-url/purl-spec.
func module(kind cdx.ComponentType, path, version string) cdx.Component {
	purl := "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
	return cdx.Component{BOMRef: purl, Type: kind, Name: path, Version: version, PackageURL: purl}
}
