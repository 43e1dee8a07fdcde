// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package version holds the plugin's version, the only place where it is written.
package version

import "github.com/hashicorp/packer-plugin-sdk/version"

var (
	// Version is the release, without a leading v (https://semver.org).
	Version = "0.1.0"

	// VersionPrerelease is "dev" between releases, the only pre-release that
	// Packer loads, and empty in a release. The linker sets it:
	// -X .../version.VersionPrerelease=
	VersionPrerelease = "dev"

	// PluginVersion is the version that `describe` reports and that the builder writes
	// into the tags of its resources.
	PluginVersion = version.NewPluginVersion(Version, VersionPrerelease, "")
)
