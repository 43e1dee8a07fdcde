// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package tags defines the tags that identify a build's resources after the build
// has ended. The builder writes them, `sweep` reads them.
package tags

import (
	"maps"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// Keys.
const (
	// BuildID is on everything that a build creates; its value is the build's id.
	BuildID = "ethminer:build-id"
	// Version is the plugin's version.
	Version = "ethminer:plugin-version"
	// Expires is when a resource of a dead build may be removed, in Stamp's format.
	Expires = "ethminer:expires"
	// State is on images and snapshots: Building from their creation on, Released
	// once the build has succeeded. Resources with other values are not changed.
	State = "ethminer:state"
)

// Keys that describe an image. Each is omitted if its value is unknown.
const (
	// SourceAMI is the image that the instance was launched from.
	SourceAMI = "ethminer:source-ami"
	// CopiedFrom is "region:ami-..." on the images of source_ami_from.
	CopiedFrom = "ethminer:copied-from"
	// Name is the final name of an image with a temporary name.
	Name = "ethminer:ami-name"
	// ReplacedBy is on the snapshots to delete of an image that force_deregister
	// has replaced; its value is the build's id.
	ReplacedBy = "ethminer:replaced-by"
	// RetiredAt is when an image was retired, in Stamp's format.
	RetiredAt = "ethminer:retired-at"
	// Family is the name that all releases of an image share.
	Family = "ethminer:family"
	// Commit, Coin, CUDA, Driver, GPU and Hashrate are from the image's benchmark.
	Commit   = "ethminer:commit"
	Coin     = "ethminer:coin"
	CUDA     = "ethminer:cuda"
	Driver   = "ethminer:driver"
	GPU      = "ethminer:gpu"
	Hashrate = "ethminer:hashrate"
	// LaunchTest is the verdict of the image's launch test, see FormatTest.
	LaunchTest = "ethminer:launch-test"
)

// Optional are the keys that are dropped, in this order, if the user's own tags
// would exceed EC2's limit.
var Optional = []string{Coin, CUDA, Driver, GPU, Hashrate, Commit, Version, SourceAMI, Family}

// Inherited are the keys that a copy inherits from its source.
var Inherited = []string{SourceAMI, Family, Commit, Coin, CUDA, Driver, GPU, Hashrate, LaunchTest}

// Values of State.
const (
	Building = "building"
	Released = "released"
	// Retired is on an older release that is disabled, and removed later.
	Retired = "retired"
	// Held is on resources that a build kept for another run of it.
	Held = "held"
)

// EC2's limits for the tags of a resource
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions).
const (
	MostTags  = 50
	MostKey   = 128
	MostValue = 256
)

var buildIDSyntax = lazyregexp.New(`^[0-9A-Za-z-]{8,64}$`)

// IsBuildID reports whether a text has the form of a build's id.
func IsBuildID(text string) bool { return buildIDSyntax.MatchString(text) }

// Stamp formats a value of Expires: RFC 3339 in UTC, to the second.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Time parses a value of Expires.
func Time(stamp string) (time.Time, error) { return time.Parse(time.RFC3339, stamp) }

// Overlay merges maps; later ones take precedence.
func Overlay(layers ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, layer := range layers {
		maps.Copy(out, layer)
	}
	return out
}
