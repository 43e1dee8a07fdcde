// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poolcheck

import (
	"strings"
	"testing"
)

func TestPoolCheckValidation(t *testing.T) {
	for _, test := range []struct {
		block PoolCheck
		want  string // part of the error; "" if valid
	}{
		{PoolCheck{Pool: "stratum1+tcp://etc.example.org:4444", Wallet: "0x1"}, ""},
		{PoolCheck{Pool: "stratum+ssl://[2001:db8::1]:4444", Wallet: "0x1", Timeout: "1h"}, ""},
		{PoolCheck{}, "pool_check: wallet is missing"},
		{PoolCheck{Pool: "etc.example.org:4444", Wallet: "0x1"}, `pool_check: pool "etc.example.org:4444": expected a scheme, a host and a port`},
		{PoolCheck{Pool: "http://etc.example.org:4444", Wallet: "0x1"}, "expected a scheme"},
		{PoolCheck{Pool: "stratum://etc.example.org", Wallet: "0x1"}, "expected a scheme"},
		{PoolCheck{Pool: "stratum://etc.example.org:0", Wallet: "0x1"}, "expected a scheme"},
		{PoolCheck{Pool: "stratum://etc.example.org:99999", Wallet: "0x1"}, "expected a scheme"},
		{PoolCheck{Pool: "stratum://me:secret@etc.example.org:1", Wallet: "0x1"}, `pool "...@etc.example.org:1": contains a user; set that as wallet`},
		{PoolCheck{Pool: "0xabc.rig:secret@etc.example.org:1", Wallet: "0x1"}, "contains a user; set that as wallet"},
		{PoolCheck{Pool: "0xabc:secret@etc.example.org", Wallet: "0x1"}, "contains a user; set that as wallet"},
		{PoolCheck{Pool: "stratum://etc.example.org:1", Wallet: "0x1", Timeout: "2h"}, `pool_check: timeout "2h": expected a duration from 1s to 1h0m0s`},
	} {
		err := test.block.Prepare()
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%v: got %v, want %q", test.block, err, test.want)
		}
	}
}
