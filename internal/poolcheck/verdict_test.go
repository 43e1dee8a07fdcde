// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poolcheck

import (
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
)

func TestJudge(t *testing.T) {
	c := PoolCheck{Pool: "stratum://etc.example.org:4444", Wallet: "0x1", Timeout: "2m"}
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	const accepted, rejected = " i 16:39:20 stratum **Accepted   1 ms. etc.example.org:4444", " X 16:39:20 stratum **Rejected 12 ms. etc.example.org:4444"
	for _, test := range []struct {
		name        string
		lines       []string
		decided     bool
		saw, remedy string // parts; the remedy "" if a share was accepted
	}{
		{"accepted", []string{rejected, accepted}, true, "etc.example.org:4444 accepted a share after 1.2s", ""},
		{"rejected", []string{rejected, rejected, rejected}, true, "rejected 3 shares and accepted none; expected one accepted within 2m0s", "which was built for Etchash: set coin"},
		{"two rejected", []string{rejected, rejected}, false, "accepted no share within 2m0s (pool_check: timeout) at 0.00 h/s, and rejected 2", "the pool's difficulty is too high"},
		{"nothing", nil, false, "and rejected 0", "otherwise check pool, wallet and password"},
		{"a failure with a known cause", []string{" X 16:39:20 cuda Error CUDA mining: invalid device symbol"}, false, "and rejected 0", "the binary was built for another GPU"},
	} {
		w := benchmark.NewWatch()
		for _, line := range test.lines {
			w.Line(line)
		}
		saw, remedy := c.Judge(w, 1234*time.Millisecond, "Etchash")
		if Decided(w) != test.decided || !strings.Contains(saw, test.saw) || !strings.Contains(remedy, test.remedy) || (remedy == "") != (test.remedy == "") {
			t.Errorf("%s: got decided %t, %q, %q", test.name, Decided(w), saw, remedy)
		}
	}
}
