// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// IDs generates resource ids. They look random, but depend only on the seed and on the
// number of earlier ids.
type IDs struct {
	Seed    string
	Address uint16 // number of the latest loopback address
	count   int
}

// Next returns a new id such as ami-0123456789abcdef0.
func (g *IDs) Next(prefix string) string {
	g.count++
	return HashID(prefix, g.Seed, fmt.Sprint(g.count))
}

// NextAddress returns the loopback address of the next machine; the last byte is never
// 0 or 255.
func (g *IDs) NextAddress() string {
	g.Address++
	if low := g.Address & 0xff; low == 0 || low == 0xff {
		return g.NextAddress()
	}
	return fmt.Sprintf("127.77.%d.%d", g.Address>>8, g.Address&0xff)
}

// HashID returns an id that depends only on parts.
func HashID(prefix string, parts ...string) string {
	h := sha256.New()
	for _, part := range append([]string{prefix}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return prefix + "-0" + hex.EncodeToString(h.Sum(nil))[:16]
}
