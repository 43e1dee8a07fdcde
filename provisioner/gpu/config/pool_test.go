// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"strings"
	"testing"
)

func TestPoolCheckValidation(t *testing.T) {
	for _, test := range []struct {
		block map[string]any
		want  string // part of the error; "" if valid
	}{
		{map[string]any{"pool": "stratum1+tcp://etc.example.org:4444", "wallet": "0x1"}, ""},
		{map[string]any{"pool": "stratum+ssl://[2001:db8::1]:4444", "wallet": "0x1", "timeout": "1h"}, ""},
		{map[string]any{}, "pool_check: wallet is missing"},
		{map[string]any{"pool": "etc.example.org:4444", "wallet": "0x1"}, `pool_check: pool "etc.example.org:4444": expected a scheme, a host and a port`},
		{map[string]any{"pool": "http://etc.example.org:4444", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://etc.example.org", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://etc.example.org:0", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://etc.example.org:99999", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://me:secret@etc.example.org:1", "wallet": "0x1"}, `pool "...@etc.example.org:1": contains a user; set that as wallet`},
		{map[string]any{"pool": "0xabc.rig:secret@etc.example.org:1", "wallet": "0x1"}, "contains a user; set that as wallet"},
		{map[string]any{"pool": "0xabc:secret@etc.example.org", "wallet": "0x1"}, "contains a user; set that as wallet"},
		{map[string]any{"pool": "stratum://etc.example.org:1", "wallet": "0x1", "timeout": "2h"}, `pool_check: timeout "2h": expected a duration from 1s to 1h0m0s`},
	} {
		var c Config
		err := c.Prepare(anyPhases, map[string]any{"source": source(t), "pool_check": test.block})
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%v: got %v, want %q", test.block, err, test.want)
		}
	}
}
