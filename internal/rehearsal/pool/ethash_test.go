// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package pool

import (
	"encoding/hex"
	"testing"
)

func TestSeeds(t *testing.T) {
	const first = "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"
	one, two := SeedHash(1, false), SeedHash(2, false)
	if hex.EncodeToString(one[:]) != first || SeedHash(1, true) != two || SeedHash(0, true) != [32]byte{} {
		t.Errorf("got %x, %x", one, two)
	}
}

// Published hashes from ethash's own tests: of Ethereum's first block, of a block of
// its ninth test network, and two of the second and third epoch.
func TestEvaluate(t *testing.T) {
	lights := map[int]*Light{}
	for _, v := range []struct {
		block       int
		header      string
		nonce       uint64
		mix, result string
	}{
		{1, "85913a3057ea8bec78cd916871ca73802e77724e014dda65add3405d02240eb7", 0x539bd4979fef1ec4, "969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59", ""},
		{
			22, "372eca2454ead349c3df0ab5d00b0b706b23e49d469387db91811cee0358fc6d", 0x495732e0ed7a801c,
			"2f74cdeb198af0b9abe65d22d372e22fb2d474371774a9583c1cc427a07939f5", "00000b184f1fdd88bfd94c86c39e65db0c36144d5e43f745f722196e730cb614",
		},
		{30001, "7e44356ee3441623bc72a683fd3708fdf75e971bbe294f33e539eedad4b92b34", 0x318df1c8adef7e5e, "144b180aad09ae3c81fb07be92c8e6351b5646dda80e6844ae1b697e55ddde84", ""},
	} {
		epoch := v.block / blocksPerSeed
		if lights[epoch] == nil {
			lights[epoch] = NewLight(epoch, false)
		}
		var header [32]byte
		if _, err := hex.Decode(header[:], []byte(v.header)); err != nil {
			t.Fatal(err)
		}
		mix, result := lights[epoch].Evaluate(header, v.nonce)
		if hex.EncodeToString(mix[:]) != v.mix || v.result != "" && hex.EncodeToString(result[:]) != v.result {
			t.Errorf("block %d: got %x, %x", v.block, mix, result)
		}
	}
}
