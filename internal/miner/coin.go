// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// Coin is what is mined, by its name in the configuration.
type Coin string

// The coins. A custom one is mined as the source mines, which is as Ethereum was.
const (
	ETC    Coin = "etc"  // Ethereum Classic, Etchash (ECIP-1099)
	ETHW   Coin = "ethw" // EthereumPoW, Ethash
	Custom Coin = "custom"
)

// Coins are all of them.
var Coins = []Coin{ETC, ETHW, Custom}

// Algorithm is the coin's proof of work.
func (c Coin) Algorithm() string {
	if c == ETC {
		return "Etchash"
	}
	return "Ethash"
}

// PlausibleBlock is a block about where the coin's chain is at the end of 2026:
// an estimate, for a DAG of about the size that will be mined at.
func (c Coin) PlausibleBlock() uint64 {
	switch c {
	case ETC:
		return 405 * EtchashEpochBlocks // 4.16 GiB
	case ETHW:
		return 820 * EpochBlocks // 7.41 GiB
	}
	return 390 * EpochBlocks // 4.05 GiB
}

// Epoch is a block's epoch. A miner of Ethereum Classic, upstream's with our
// edits or the reference miner, counts 60000 blocks an epoch from the first.
func (c Coin) Epoch(block uint64) uint64 {
	if c == ETC {
		return block / EtchashEpochBlocks
	}
	return Epoch(block)
}
