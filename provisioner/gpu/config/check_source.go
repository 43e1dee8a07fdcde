// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

var (
	refName   = lazyregexp.New("^[A-Za-z0-9][A-Za-z0-9._/-]*$")
	scpURL    = lazyregexp.New("^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^/]")
	tarName   = lazyregexp.New(`\.(tar\.gz|tgz|tar\.xz|tar\.bz2|tar)$`)
	sha256Sum = lazyregexp.New("^[0-9a-f]{64}$")
)

func (c *Config) checkSource() error {
	if c.Source == "" {
		c.Source = Upstream
		if c.SourceRef == "" {
			c.SourceRef = UpstreamCommit
		}
	}
	if c.Source == hclvalue.Unknown {
		return nil
	}
	isURL := strings.Contains(c.Source, "://")
	if isURL && redactURL(c.Source) != c.Source {
		return fmt.Errorf("source %q: a password in a URL ends up in logs; clone the repository first and set source to the local folder", redactURL(c.Source))
	}
	var errs []error
	if isURL {
		errs = append(errs, c.checkScheme())
	}
	switch {
	case tarName.MatchString(c.Source):
		c.parsed.Kind, c.parsed.LocalTarball = SourceTarball, !isURL
		errs = append(errs, c.checkTarball())
	case isURL || scpURL.MatchString(c.Source):
		c.parsed.Kind = SourceGit
		errs = append(errs, c.checkRef())
	default:
		c.parsed.Kind = SourceFolder
		errs = append(errs, c.checkFolder())
	}
	if c.parsed.Kind != SourceGit && c.SourceRef != "" && c.SourceRef != hclvalue.Unknown {
		errs = append(errs, fmt.Errorf("source_ref %q: source %q is not a git URL; remove source_ref, or set source to a git URL", c.SourceRef, c.Source))
	}
	if c.parsed.Kind != SourceTarball && c.SourceChecksum != "" && c.SourceChecksum != hclvalue.Unknown {
		errs = append(errs, fmt.Errorf("source_checksum %q: source %q is not a tarball; remove source_checksum, or set source to a tarball (.tar.gz)", c.SourceChecksum, c.Source))
	}
	return errors.Join(errs...)
}

// URL schemes that git and curl support.
var (
	gitSchemes     = []string{"https", "http", "ssh", "git", "git+ssh", "ssh+git", "file"}
	tarballSchemes = []string{"https", "http", "ftp", "ftps", "file"}
)

// checkScheme detects a misspelled scheme before an instance is launched.
func (c *Config) checkScheme() error {
	what, schemes := "git URL", gitSchemes
	if tarName.MatchString(c.Source) {
		what, schemes = "tarball's URL", tarballSchemes
	}
	scheme, _, _ := strings.Cut(c.Source, "://")
	if slices.Contains(schemes, strings.ToLower(scheme)) {
		return nil
	}
	return fmt.Errorf("source %q: got the scheme %q, want a %s that begins with %s://", c.Source, scheme, what, strings.Join(schemes, "://, "))
}

func (c *Config) checkRef() error {
	if c.SourceRef == hclvalue.Unknown || fullCommit.MatchString(c.SourceRef) || refName.MatchString(c.SourceRef) {
		return nil
	}
	return fmt.Errorf("source_ref %q: expected a full commit hash of %s (40 lower-case hexadecimal digits); find one with: git ls-remote %s", c.SourceRef, c.Source, c.Source)
}

func (c *Config) checkTarball() error {
	var errs []error
	sum := strings.TrimPrefix(c.SourceChecksum, "sha256:")
	if c.SourceChecksum != hclvalue.Unknown && !sha256Sum.MatchString(sum) {
		errs = append(errs, fmt.Errorf("source_checksum %q: expected the SHA-256 sum of %s (64 lower-case hexadecimal digits); compute it with: sha256sum FILE", c.SourceChecksum, c.Source))
	}
	c.SourceChecksum = sum
	if c.parsed.LocalTarball {
		if info, err := os.Stat(c.Source); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("source %q: %w; make it readable for the user who runs packer", c.Source, err))
		} else if err != nil || !info.Mode().IsRegular() {
			errs = append(errs, fmt.Errorf("source %q: no such file; relative paths start in the folder where packer runs; use ${path.root}/... for a path relative to the template", c.Source))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) checkFolder() error {
	const want = "expected a local folder with a CMakeLists.txt, a tarball, or a git URL (https://..., ssh://..., git@host:path)"
	info, err := os.Stat(c.Source)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("source %q: no such folder; %s; relative paths start in the folder where packer runs; use ${path.root}/... for a path relative to the template", c.Source, want)
	case err != nil:
		return fmt.Errorf("source %q: %w; %s", c.Source, err, want)
	case !info.IsDir():
		return fmt.Errorf("source %q: not a folder; %s", c.Source, want)
	}
	if len(c.BuildCommands) > 0 {
		return nil
	}
	switch info, err := os.Stat(filepath.Join(c.Source, "CMakeLists.txt")); {
	case err == nil && info.Mode().IsRegular():
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("source %q: looking for CMakeLists.txt: %w; make the folder readable for the user who runs packer", c.Source, err)
	}
	return fmt.Errorf("source %q: the folder has no CMakeLists.txt; %s; set source to the top folder of the miner's source, or set build_commands", c.Source, want)
}
