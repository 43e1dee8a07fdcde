// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// built is what the source and the build were, for the report and the inventory.
type built struct {
	Commit     string   `json:"commit,omitempty"`
	Submodules []string `json:"submodules,omitempty"`
	Libraries  []string `json:"libraries,omitempty"`
	Edits      []string `json:"edits,omitempty"`
}

// source brings the miner's source, and the libraries that it needs and Ubuntu
// has not, into the scratch folder.
func (r *run) source(ctx context.Context) (string, error) {
	if r.config.parsed.kind == sourceGit && !fullCommit.MatchString(r.config.SourceRef) {
		r.ui.Errorf("warning: source_ref %q can move: the image cannot be made again; pin the commit that the line below names", r.config.SourceRef)
	}
	s := script{name: "source", bound: 15 * time.Minute}
	if len(r.config.BuildCommands) > 0 {
		s.env = map[string]string{"OWN_BUILD": "yes"}
	}
	switch r.config.parsed.kind {
	case sourceGit:
		s.args = []string{"git", r.config.Source, r.config.SourceRef}
	case sourceTarball:
		url := r.config.Source
		if r.config.parsed.localTarball {
			url = ""
			if err := r.uploadFile(ctx, r.config.Source, "source.tar"); err != nil {
				return "", err
			}
		}
		s.args = []string{"tarball", url, r.config.SourceChecksum}
	case sourceFolder:
		s.args = []string{"folder"}
		if err := r.uploadFolder(ctx); err != nil {
			return "", err
		}
	}
	a, err := r.machine.run(ctx, s)
	if err != nil {
		return "", fmt.Errorf("source %q: %w", redactURL(r.config.Source), err)
	}
	commit := a.fact("commit")
	libraries, err := r.machine.run(ctx, script{name: "dependencies", args: r.dependencies(), bound: 10 * time.Minute})
	if err != nil {
		return "", err
	}
	r.built = built{Commit: commit, Submodules: a.facts["submodule"], Libraries: libraries.facts["dependency"]}
	said := a.fact("files") + " files of " + redactURL(r.config.Source)
	if commit != "" {
		said += " at " + commit
	}
	return said, nil
}

// dependency is a library that a miner may ask CMake for and no distribution
// has in the version that it needs.
type dependency struct{ name, cmake, url, algorithm, hash string }

// libraries are ethminer's. CLI11 2 has lost add_set, and ethash 0.7 the global
// context in its old place. The hashes are those that packagers have published:
// Homebrew's, Spack's and Conan's of CLI11; Hunter's of ethash, SHA-1 only.
var libraries = []dependency{
	{"cli11", "CLI11", "https://github.com/CLIUtils/CLI11/archive/v1.9.1.tar.gz", "sha256", "c780cf8cf3ba5ec2648a7eeb20a47e274493258f38a9b417628e0576f473a50b"},
	{"ethash", "ethash", "https://github.com/chfast/ethash/archive/v0.4.3.tar.gz", "sha1", "ec5a7a54c508cc5f2c11d175b68f3ac3db2200ed"},
}

// dependencies are the libraries in dependencies.sh's form.
func (r *run) dependencies() []string {
	if len(r.config.BuildCommands) > 0 {
		return nil
	}
	var args []string
	for _, l := range r.libraries {
		args = append(args, l.name, l.cmake, l.url, l.algorithm, l.hash)
	}
	return args
}

// sourceName is the folder, or the URL and the commit.
func (r *run) sourceName() string {
	if r.config.parsed.kind == sourceGit {
		return redactURL(r.config.Source) + " at " + r.config.SourceRef
	}
	return redactURL(r.config.Source)
}

// hashSource is the SHA-256 of a local source as it would be sent.
func hashSource(ctx context.Context, path string) (string, error) {
	sum := sha256.New()
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case info.IsDir():
		err = packFolder(ctx, sum, path)
	default:
		var file *os.File
		if file, err = os.Open(path); err == nil {
			_, err = io.Copy(sum, file)
			err = errors.Join(err, file.Close())
		}
	}
	if err != nil {
		return "", fmt.Errorf("reading source %q: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// uploadFile sends a local file into the scratch folder.
func (r *run) uploadFile(ctx context.Context, path, as string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	return r.machine.upload(ctx, r.machine.path(as), file)
}
