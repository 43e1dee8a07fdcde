// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package pool

import (
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/sha3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Ethash revision 23 from the light cache, as in Ethereum's specification
// (https://ethereum.org/developers/docs/consensus-mechanisms/pow/mining/mining-algorithms/ethash/).
// It shares no code with the reference miner that it verifies.

const (
	blocksPerSeed = 30000
	wordsPerItem  = 16 // 64 bytes
	parents       = 256
	accesses      = 64
	cacheRounds   = 3
)

type item [wordsPerItem]uint32

// Light verifies the shares of one epoch.
type Light struct {
	cache []item
	pages uint32 // number of 128-byte pages in the dataset
}

// NewLight creates the cache of an epoch: 16 MiB in about a second for the first epoch.
// Etchash hashes a seed twice for each epoch (ECIP-1099).
func NewLight(epoch int, etchash bool) *Light {
	e := uint64(epoch) //nolint:gosec // not negative
	l := &Light{
		cache: make([]item, miner.CacheBytes(e)/64),
		pages: uint32(miner.DatasetBytes(e) / 128), //nolint:gosec // a size in memory
	}
	h := newHasher(sha3.NewLegacyKeccak512())
	seed := SeedHash(epoch, etchash)
	l.cache[0] = h.item(seed[:])
	for i := 1; i < len(l.cache); i++ {
		l.cache[i] = h.item(l.cache[i-1].bytes())
	}
	for range cacheRounds {
		for i := range l.cache {
			before, other := l.cache[(i+len(l.cache)-1)%len(l.cache)], l.cache[int(l.cache[i][0])%len(l.cache)]
			for w := range before {
				before[w] ^= other[w]
			}
			l.cache[i] = h.item(before.bytes())
		}
	}
	return l
}

// SeedHash returns the seed hash by which a pool identifies an epoch.
func SeedHash(epoch int, etchash bool) (seed [32]byte) {
	rounds := epoch
	if etchash {
		rounds *= 2
	}
	for range rounds {
		h := sha3.NewLegacyKeccak256()
		h.Write(seed[:])
		h.Sum(seed[:0])
	}
	return seed
}

// Evaluate computes one hash: the mix digest, which proves the work, and the result,
// which must not exceed the boundary.
func (l *Light) Evaluate(header [32]byte, nonce uint64) (mix, result [32]byte) {
	h := newHasher(sha3.NewLegacyKeccak512())
	seed := h.item(binary.LittleEndian.AppendUint64(header[:], nonce))
	var page [2 * wordsPerItem]uint32
	copy(page[:], seed[:])
	copy(page[wordsPerItem:], seed[:])
	for i := range uint32(accesses) {
		at := fnv(i^seed[0], page[i%uint32(len(page))]) % l.pages
		for half := range uint32(2) {
			for w, word := range l.item(h, 2*at+half) {
				p := &page[int(half)*wordsPerItem+w]
				*p = fnv(*p, word)
			}
		}
	}
	for i := range 8 {
		word := fnv(fnv(fnv(page[4*i], page[4*i+1]), page[4*i+2]), page[4*i+3])
		binary.LittleEndian.PutUint32(mix[4*i:], word)
	}
	last := sha3.NewLegacyKeccak256()
	last.Write(seed.bytes())
	last.Write(mix[:])
	last.Sum(result[:0])
	return mix, result
}

// item returns an item of the dataset.
func (l *Light) item(h *hasher, index uint32) item {
	size := uint32(len(l.cache)) //nolint:gosec // of 64 bytes each, in memory
	mix := l.cache[index%size]
	mix[0] ^= index
	mix = h.item(mix.bytes())
	for j := range uint32(parents) {
		for w, word := range l.cache[fnv(index^j, mix[j%wordsPerItem])%size] {
			mix[w] = fnv(mix[w], word)
		}
	}
	return h.item(mix.bytes())
}

func fnv(a, b uint32) uint32 { return a*0x01000193 ^ b }

func (i item) bytes() []byte {
	out := make([]byte, 0, 4*wordsPerItem)
	for _, word := range i {
		out = binary.LittleEndian.AppendUint32(out, word)
	}
	return out
}

type hasher struct {
	hash.Hash
	sum []byte
}

func newHasher(h hash.Hash) *hasher { return &hasher{Hash: h} }

// item returns the hash of data as an item.
func (h *hasher) item(data []byte) (out item) {
	h.Reset()
	_, _ = h.Write(data)
	h.sum = h.Sum(h.sum[:0])
	for w := range out {
		out[w] = binary.LittleEndian.Uint32(h.sum[4*w:])
	}
	return out
}
