// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// sourceKind is what the option source names.
type sourceKind int

const (
	sourceFolder sourceKind = iota
	sourceGit
	sourceTarball
)

var (
	fullCommit = lazyregexp.New("^[0-9a-f]{40}$")
	refName    = lazyregexp.New("^[A-Za-z0-9][A-Za-z0-9._/-]*$")
	scpURL     = lazyregexp.New("^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^/]")
	tarName    = lazyregexp.New(`\.(tar\.gz|tgz|tar\.xz|tar\.bz2|tar)$`)
	sha256Sum  = lazyregexp.New("^[0-9a-f]{64}$")
)

func (c *Config) checkSource() error {
	if c.Source == "" {
		c.Source = Upstream
		if c.SourceRef == "" {
			c.SourceRef = UpstreamCommit
		}
	}
	if c.Source == unknown {
		return nil
	}
	c.parsed.upstream = strings.Contains(path.Base(strings.ReplaceAll(c.Source, ":", "/")), "ethminer")
	isURL := strings.Contains(c.Source, "://")
	if isURL && redactURL(c.Source) != c.Source {
		return fmt.Errorf("source %q: a password in a URL ends up in logs; clone the repository first and name the local folder", redactURL(c.Source))
	}
	var errs []error
	switch {
	case tarName.MatchString(c.Source):
		c.parsed.kind, c.parsed.localTarball = sourceTarball, !isURL
		errs = append(errs, c.checkTarball())
	case isURL || scpURL.MatchString(c.Source):
		c.parsed.kind = sourceGit
		errs = append(errs, c.checkRef())
	default:
		c.parsed.kind, c.parsed.upstream = sourceFolder, false
		errs = append(errs, c.checkFolder())
	}
	if c.parsed.kind != sourceGit && c.SourceRef != "" && c.SourceRef != unknown {
		errs = append(errs, fmt.Errorf("source_ref %q: source %q is no git URL and is taken as it is; remove source_ref, or name a git URL", c.SourceRef, c.Source))
	}
	if c.parsed.kind != sourceTarball && c.SourceChecksum != "" && c.SourceChecksum != unknown {
		errs = append(errs, fmt.Errorf("source_checksum %q: source %q is no tarball; remove source_checksum, or name one that ends with .tar.gz", c.SourceChecksum, c.Source))
	}
	return errors.Join(errs...)
}

func (c *Config) checkRef() error {
	if c.SourceRef == unknown || fullCommit.MatchString(c.SourceRef) || refName.MatchString(c.SourceRef) {
		return nil
	}
	return fmt.Errorf("source_ref %q: expected a full commit of %s (40 lower-case hexadecimal digits); find one with: git ls-remote %s", c.SourceRef, c.Source, c.Source)
}

func (c *Config) checkTarball() error {
	var errs []error
	sum := strings.TrimPrefix(c.SourceChecksum, "sha256:")
	if c.SourceChecksum != unknown && !sha256Sum.MatchString(sum) {
		errs = append(errs, fmt.Errorf("source_checksum %q: expected the SHA-256 sum of %s (64 lower-case hexadecimal digits), because a tarball can change; find it with: sha256sum FILE", c.SourceChecksum, c.Source))
	}
	c.SourceChecksum = sum
	if c.parsed.localTarball {
		if info, err := os.Stat(c.Source); err != nil || !info.Mode().IsRegular() {
			errs = append(errs, fmt.Errorf("source %q: no such file; a relative path counts from where packer runs, so write ${path.root}/... for one beside the template", c.Source))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) checkFolder() error {
	const want = "expected a local folder with a CMakeLists.txt, a tarball, or a git URL (https://..., ssh://..., git@host:path)"
	info, err := os.Stat(c.Source)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("source %q: no such folder; %s; a relative path counts from where packer runs, so write ${path.root}/... for one beside the template", c.Source, want)
	case err != nil:
		return fmt.Errorf("source %q: %w; %s", c.Source, err, want)
	case !info.IsDir():
		return fmt.Errorf("source %q: not a folder; %s", c.Source, want)
	}
	if len(c.BuildCommands) > 0 {
		return nil
	}
	if info, err := os.Stat(filepath.Join(c.Source, "CMakeLists.txt")); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("source %q: the folder has no CMakeLists.txt; %s; name the top folder of the miner's source, or say how it is built in build_commands", c.Source, want)
	}
	return nil
}
