// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// Coin is a coin, by its name in the configuration.
type Coin string

// The coins. Custom is whatever the source mines. Upstream ethminer mines Ethash,
// whose only active coin is EthereumPoW.
const (
	ETC    Coin = "etc"  // Ethereum Classic, Etchash (ECIP-1099)
	ETHW   Coin = "ethw" // EthereumPoW, Ethash
	Custom Coin = "custom"
)

// Coins lists all coins.
var Coins = []Coin{ETC, ETHW, Custom}

// Algorithm returns the name of the coin's proof of work.
func (c Coin) Algorithm() string {
	if c == ETC {
		return "Etchash"
	}
	return "Ethash"
}

// PlausibleBlock returns an estimate of the coin's block number at the end of 2026,
// for a DAG of about the size that will be mined at.
func (c Coin) PlausibleBlock() uint64 {
	switch c {
	case ETC:
		return 436 * EtchashEpochBlocks // 4.41 GiB; block 25.9 million was mined in autumn 2026
	case ETHW:
		return 820 * EpochBlocks // 7.41 GiB
	}
	return 390 * EpochBlocks // 4.05 GiB
}

// Epoch returns a block's epoch. Miners of Ethereum Classic (edited upstream and the
// reference miner) use 60000 blocks per epoch from the first block on.
func (c Coin) Epoch(block uint64) uint64 {
	if c == ETC {
		return block / EtchashEpochBlocks
	}
	return Epoch(block)
}
