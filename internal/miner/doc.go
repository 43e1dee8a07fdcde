// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package miner knows what ethminer prints, what Ethash costs, and what a
// benchmark says: log lines to rates, blocks to DAG sizes, samples to a
// report. It is pure: text and numbers in, values out.
//
// Every rate in this package is in hashes a second.
package miner
