// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package judge compares the reference miner's Ethash with go-ethereum's, and checks the parts of ethminer's command line
// that users rely on. It is a separate module, so that only the tests depend on go-ethereum.
package judge

import (
	_ "unsafe" // for go:linkname

	_ "github.com/ethereum/go-ethereum/consensus/ethash"
)

// go-ethereum does not export these functions; linkname accesses them in the unmodified module. The empty linkname.s lets
// the compiler accept functions without a body.

//go:linkname calcCacheSize github.com/ethereum/go-ethereum/consensus/ethash.calcCacheSize
func calcCacheSize(epoch int) uint64

//go:linkname calcDatasetSize github.com/ethereum/go-ethereum/consensus/ethash.calcDatasetSize
func calcDatasetSize(epoch int) uint64

//go:linkname seedHash github.com/ethereum/go-ethereum/consensus/ethash.seedHash
func seedHash(block uint64) []byte

//go:linkname generateCache github.com/ethereum/go-ethereum/consensus/ethash.generateCache
func generateCache(dest []uint32, epoch uint64, seed []byte)

//go:linkname hashimotoLight github.com/ethereum/go-ethereum/consensus/ethash.hashimotoLight
func hashimotoLight(size uint64, cache []uint32, hash []byte, nonce uint64) (mix, result []byte)
