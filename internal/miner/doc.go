// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package miner parses ethminer's output, computes DAG sizes of Ethash, and defines the
// benchmark report. It has no side effects.
//
// All rates in this package are in hashes per second.
package miner
