// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package judge puts the reference miner's Ethash beside go-ethereum's, and its command line beside what ethminer's
// users rely on. It is a module of its own, so that go-ethereum is nobody's dependency but the tests'.
package judge

import (
	_ "unsafe" // for go:linkname

	_ "github.com/ethereum/go-ethereum/consensus/ethash"
)

// go-ethereum exports none of what is compared here; linking by name leaves its code as it was published. linkname.s is
// there, empty, because without it the compiler wants bodies.

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
