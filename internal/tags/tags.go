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

// Keys that say what an image is. Each is left out where it is not known.
const (
	// SourceAMI is the image that the instance was launched from.
	SourceAMI = "ethminer:source-ami"
	// CopiedFrom is "region:ami-..." on the images of source_ami_from.
	CopiedFrom = "ethminer:copied-from"
	// Name is the name to be of an image that has another for the time being.
	Name = "ethminer:ami-name"
	// ReplacedBy is on the snapshots of an image that force_deregister has
	// replaced, where they are to go too; its value is the build's id.
	ReplacedBy = "ethminer:replaced-by"
	// RetiredAt is since when an image is retired, as Stamp writes it.
	RetiredAt = "ethminer:retired-at"
	// Family is what releases of the same image have in common.
	Family = "ethminer:family"
	// Commit, Coin, CUDA, Driver, GPU and Hashrate are from the image's benchmark.
	Commit   = "ethminer:commit"
	Coin     = "ethminer:coin"
	CUDA     = "ethminer:cuda"
	Driver   = "ethminer:driver"
	GPU      = "ethminer:gpu"
	Hashrate = "ethminer:hashrate"
)

// Optional are the keys that go, in this order, where a user's own tags leave
// too little room.
var Optional = []string{Coin, CUDA, Driver, GPU, Hashrate, Commit, Version, SourceAMI, Family}

// Inherited are the keys that a copy takes over from its source.
var Inherited = []string{SourceAMI, Family, Commit, Coin, CUDA, Driver, GPU, Hashrate}

// Values of State.
const (
	Building = "building"
	Released = "released"
	// Retired is on an older release that is disabled, and goes after a while.
	Retired = "retired"
	// Held is on what a build left for another run of it to finish.
	Held = "held"
)

// Stamp is a value of Expires: RFC 3339 in UTC, to the second.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Time reads a value of Expires.
func Time(stamp string) (time.Time, error) { return time.Parse(time.RFC3339, stamp) }
