// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// libraries lists the libraries that ethminer requires in old versions. CLI11 2
// removed add_set; ethash 0.7 moved the global context. The hashes are published by Homebrew, Spack and Conan for CLI11,
// and by Hunter for ethash (SHA-1 only).
var libraries = []dependency{
	{"cli11", "CLI11", "https://github.com/CLIUtils/CLI11/archive/v1.9.1.tar.gz", "sha256", "c780cf8cf3ba5ec2648a7eeb20a47e274493258f38a9b417628e0576f473a50b"},
	{"ethash", "ethash", "https://github.com/chfast/ethash/archive/v0.4.3.tar.gz", "sha1", "ec5a7a54c508cc5f2c11d175b68f3ac3db2200ed"},
}

// packaged maps names in find_package to packages of Debian and Ubuntu. Boost has
// one package per component: see boostPackages.
var packaged = map[string]string{
	"jsoncpp": "libjsoncpp-dev",
	"openssl": "libssl-dev",
}

// required lists the dependencies of the source.
type required struct {
	packages  []string     // of the distribution
	libraries []dependency // to download and build
	// findCUDA is true if the source compiles CUDA with CMake's old module FindCUDA,
	// not with CMake's CUDA language.
	findCUDA bool
}

// requires reads every CMake file of the source.
func (r *run) requires(ctx context.Context) (required, error) {
	a, err := r.machine.Run(ctx, remote.Script{Name: "requires", Bound: time.Minute})
	if err != nil {
		return required{}, err
	}
	return readRequired(a.Facts("requires"), r.libraries), nil
}

// readRequired maps find_package calls to packages and libraries. Unknown names are
// left to CMake.
func readRequired(calls []string, known []dependency) required {
	var found required
	for _, call := range calls {
		words := strings.Fields(call)
		if len(words) == 0 {
			continue
		}
		name := strings.Trim(words[0], `"`)
		if name == "CUDA" {
			found.findCUDA = true
		}
		if p := packaged[strings.ToLower(name)]; p != "" {
			found.packages = append(found.packages, p)
		}
		if strings.EqualFold(name, "Boost") {
			found.packages = append(found.packages, boostPackages(words)...)
		}
		for _, l := range known {
			if strings.EqualFold(name, l.cmake) && !slices.Contains(found.libraries, l) {
				found.libraries = append(found.libraries, l)
			}
		}
	}
	slices.Sort(found.packages)
	found.packages = slices.Compact(found.packages)
	return found
}

// boostPackages returns the packages of a call's components, or that of the headers
// only.
func boostPackages(words []string) []string {
	var packages []string
	for _, word := range words[slices.Index(words, "COMPONENTS")+1:] {
		if word == strings.ToLower(word) && !strings.ContainsAny(word, "0123456789.$") {
			packages = append(packages, "libboost-"+strings.ReplaceAll(word, "_", "-")+"-dev")
		}
	}
	if len(packages) == 0 {
		return []string{"libboost-dev"}
	}
	return packages
}
