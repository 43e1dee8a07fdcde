// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// source fetches the miner's source, and the required libraries that Ubuntu does
// not package, into the scratch folder.
func (r *run) source(ctx context.Context) (string, error) {
	if r.config.Settings().Kind == config.SourceGit && !r.config.PinsCommit() {
		r.ui.Errorf("warning: source_ref %q can move, so the image is not reproducible; pin the commit that is printed below", r.config.SourceRef)
	}
	s := remote.Script{Name: "source", Bound: 15 * time.Minute}
	if len(r.config.BuildCommands) > 0 {
		s.Env = map[string]string{"OWN_BUILD": "yes"}
	}
	switch r.config.Settings().Kind {
	case config.SourceGit:
		s.Args = []string{"git", r.config.Source, r.config.SourceRef}
	case config.SourceTarball:
		url := r.config.Source
		if r.config.Settings().LocalTarball {
			url = ""
			if err := r.machine.UploadFile(ctx, r.config.Source, "source.tar"); err != nil {
				return "", err
			}
		}
		s.Args = []string{"tarball", url, r.config.SourceChecksum}
	case config.SourceFolder:
		s.Args = []string{"folder"}
		if err := r.machine.UploadFolder(ctx, r.config.Source, "source.tar"); err != nil {
			return "", err
		}
	}
	a, err := r.machine.Run(ctx, s)
	if err != nil {
		return "", fmt.Errorf("source %q: %w", r.config.ShownSource(), err)
	}
	commit := a.Fact("commit")
	libraries, err := r.provideLibraries(ctx)
	if err != nil {
		return "", err
	}
	r.built = built{Commit: commit, Submodules: a.Facts("submodule"), Libraries: libraries}
	said := a.Fact("files") + " files of " + r.config.ShownSource()
	if commit != "" {
		said += " at " + commit
	}
	return said, nil
}

// provideLibraries installs or unpacks the libraries that the source requires. It
// returns a line for the inventory for each unpacked library.
func (r *run) provideLibraries(ctx context.Context) ([]string, error) {
	if len(r.config.BuildCommands) > 0 {
		return nil, nil
	}
	needs, err := r.requires(ctx)
	if err != nil {
		return nil, err
	}
	packages := needs.packages
	var args []string
	for _, l := range needs.libraries {
		args = append(args, l.name, l.url, l.algorithm, l.hash)
	}
	if len(args) > 0 {
		packages = append(packages, "curl=curl", "curl=ca-certificates")
	}
	if installed, err := r.installPackages(ctx, packages); err != nil {
		return nil, err
	} else if installed != "" {
		r.ui.Sayf("source: installed required libraries: %s", installed)
	}
	a, err := r.machine.Run(ctx, remote.Script{Name: "dependencies", Args: args, Bound: 10 * time.Minute})
	if err != nil {
		return nil, err
	}
	return a.Facts("dependency"), nil
}
