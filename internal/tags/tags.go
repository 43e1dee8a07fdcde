// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package tags names the tags by which a build's resources are known again
// after the build itself is gone. The builder writes them, `sweep` reads them.
package tags

import "time"

// Keys.
const (
	// BuildID is on everything that a build creates; its value is the build's id.
	BuildID = "ethminer:build-id"
	// Version is the plugin's version.
	Version = "ethminer:plugin-version"
	// Expires is when a resource of a dead build may be removed, as Stamp writes it.
	Expires = "ethminer:expires"
	// State is on images and snapshots: Building from their first moment on,
	// Released once the build was good. Another value, or none, is left alone.
	State = "ethminer:state"
)

// Values of State.
const (
	Building = "building"
	Released = "released"
)

// Stamp is a value of Expires: RFC 3339 in UTC, to the second.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Time reads a value of Expires.
func Time(stamp string) (time.Time, error) { return time.Parse(time.RFC3339, stamp) }
