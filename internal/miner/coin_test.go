// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "testing"

func TestCoins(t *testing.T) {
	for _, test := range []struct {
		coin      Coin
		algorithm string
		block     uint64
		epoch     uint64
	}{
		{ETC, "Etchash", 11_700_000, 195}, // where ECIP-1099 begins, it halves epoch 390
		{ETC, "Etchash", 59_999, 0},
		{ETHW, "Ethash", 15_537_393, 517}, // Ethereum's last proof-of-work block, where EthereumPoW begins
		{Custom, "Ethash", 11_700_000, 390},
	} {
		if got := test.coin.Epoch(test.block); got != test.epoch || test.coin.Algorithm() != test.algorithm {
			t.Errorf("%s: block %d: got epoch %d of %s, want %d of %s", test.coin, test.block, got, test.coin.Algorithm(), test.epoch, test.algorithm)
		}
	}
	for _, coin := range Coins { // each DAG fits into a GPU with 8 GiB
		if size := DatasetBytes(coin.Epoch(coin.PlausibleBlock())); size < 4<<30 || size > 8<<30 {
			t.Errorf("%s: got an implausible DAG of %d bytes", coin, size)
		}
	}
}
