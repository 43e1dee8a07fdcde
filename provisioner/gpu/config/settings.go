// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Upstream is the repository of ethminer, which is no longer maintained.
const Upstream = "https://github.com/ethereum-mining/ethminer.git"

// UpstreamCommit is the last commit of upstream's master, 0.19.0-17.
const UpstreamCommit = "ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9"

// SourceKind is the kind of the option source.
type SourceKind int

// Kinds of the option source.
const (
	SourceFolder SourceKind = iota
	SourceGit
	SourceTarball
)

// Settings holds the parsed options.
type Settings struct {
	Kind                           SourceKind
	LocalTarball                   bool
	CUDAVersion                    string // set by the user, or ""
	RebootTimeout                  time.Duration
	StartTimeout, Warmup, Duration time.Duration
	Floor, FloorPerGPU             miner.Rate
}
