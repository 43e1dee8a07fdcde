// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"net/url"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

var fullCommit = lazyregexp.New("^[0-9a-f]{40}$")

// ShownSource returns the source for messages, without a password.
func (c *Config) ShownSource() string { return redactURL(c.Source) }

// SourceName returns the folder, or the URL and the commit.
func (c *Config) SourceName() string {
	if c.parsed.Kind == SourceGit {
		return c.ShownSource() + " at " + c.SourceRef
	}
	return c.ShownSource()
}

// PinsCommit reports whether source_ref is a commit, which cannot move.
func (c *Config) PinsCommit() bool { return fullCommit.MatchString(c.SourceRef) }

// IsUpstream reports whether the source is ethminer's last commit.
func (c *Config) IsUpstream() bool { return c.Source == Upstream && c.SourceRef == UpstreamCommit }

// redactURL returns a URL for messages, without its password.
func redactURL(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return source
	}
	if _, has := u.User.Password(); !has {
		return source
	}
	return u.Redacted()
}
