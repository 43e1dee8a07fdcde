// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// ids makes the names of things. They look random and depend on the seed and
// on how many were made before.
type ids struct {
	seed    string
	made    int
	address uint16
}

// next returns a new id such as ami-0123456789abcdef0.
func (g *ids) next(prefix string) string {
	g.made++
	return hashID(prefix, g.seed, fmt.Sprint(g.made))
}

// nextAddress returns the loopback address of the next machine; the last byte
// is never 0 or 255.
func (g *ids) nextAddress() string {
	g.address++
	if low := g.address & 0xff; low == 0 || low == 0xff {
		return g.nextAddress()
	}
	return fmt.Sprintf("127.77.%d.%d", g.address>>8, g.address&0xff)
}

// hashID returns the id that parts always have.
func hashID(prefix string, parts ...string) string {
	h := sha256.New()
	for _, part := range append([]string{prefix}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return prefix + "-0" + hex.EncodeToString(h.Sum(nil))[:16]
}
