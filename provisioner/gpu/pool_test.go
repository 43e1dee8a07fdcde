// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pool"
)

// referenceMiner builds the reference miner, for an algorithm.
func referenceMiner(t *testing.T, options ...string) string {
	t.Helper()
	needBuild(t)
	build := t.TempDir()
	for _, args := range [][]string{append([]string{"-S", "../../example/miner", "-B", build}, options...), {"--build", build, "--parallel", "2"}} {
		if out, err := exec.Command("cmake", args...).CombinedOutput(); err != nil {
			t.Fatalf("cmake %q: %v\n%s", args, err, out)
		}
	}
	data, err := os.ReadFile(filepath.Join(build, "ethminer"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A real miner, at a pool that computes each share again.
func TestPoolCheck(t *testing.T) {
	ethash, etchash := referenceMiner(t), referenceMiner(t, "-DETCHASH=ON")
	for _, test := range []struct {
		name    string
		miner   string
		pool    pool.Config
		options map[string]any // of the block
		want    []string       // parts of the error; none if it passes
	}{
		{name: "Ethash", miner: ethash, pool: pool.Config{Difficulty: 256}},
		{name: "Etchash", miner: etchash, pool: pool.Config{Epoch: 1, Etchash: true, Difficulty: 256}},
		{
			name: "the wrong algorithm", miner: ethash, pool: pool.Config{Epoch: 1, Etchash: true, Difficulty: 256},
			want: []string{"pool: failed", " shares and accepted none", "which was built for Ethash: set coin", "most likely it mines another coin", "**Rejected"},
		},
		{name: "a locked door", miner: ethash, pool: pool.Config{Locked: true}, want: []string{"the miner ended by itself (exit code 2) before a share was accepted by 127.0.0.1:", "check pool, wallet and password", "does not let 0xme.and@you in"}},
		{name: "no work", miner: ethash, pool: pool.Config{Silent: true}, options: map[string]any{"timeout": "2s"}, want: []string{"has accepted no share within 2s (pool_check: timeout) at ", "Authorized worker"}},
		{name: "too hard", miner: ethash, pool: pool.Config{Difficulty: 1 << 50}, options: map[string]any{"timeout": "4s"}, want: []string{"has accepted no share within 4s", "the pool's difficulty is too high for the rate"}},
		{name: "nobody there", miner: ethash, options: map[string]any{"pool": "stratum1+tcp://127.0.0.1:1"}, want: []string{"before a share was accepted by 127.0.0.1:1", "cannot connect to 127.0.0.1:1: Connection refused"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := pool.Start(test.pool)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			check := map[string]any{"pool": "stratum1+tcp://" + p.Addr(), "wallet": "0xme.and@you", "worker": "a.b:c", "password": "pa:ss@w/rd", "timeout": "5m"}
			maps.Copy(check, test.options)
			in := newInstance(t, tools())
			var commands strings.Builder
			var mu sync.Mutex
			in.rewrite = func(command string) string {
				mu.Lock()
				defer mu.Unlock()
				commands.WriteString(command + "\n")
				return command
			}
			options := map[string]any{
				"source": minerSource(t, test.miner), "pool_check": check, "benchmark_start_timeout": "5m", "benchmark_duration": "3s",
				"cmake_options": []string{"-DETCHASH=ON"}, // of no effect: what is "built" is there
			}
			said, err := provision(t, t.Context(), in, options)
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("%v\n%s", err, said)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
			for _, secret := range []string{"pa:ss@w/rd", escapePart("pa:ss@w/rd")} {
				if strings.Contains(commands.String()+said, secret) || err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the password is in a command, a line or the error:\n%s\n%v", said, err)
				}
			}
			report, reportErr := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
			if reportErr != nil {
				t.Fatal(reportErr)
			}
			if err != nil {
				if report.Pool != "" {
					t.Errorf("the report names a pool: %+v", report)
				}
				return
			}
			if !strings.Contains(said, "pool: done in ") || !strings.Contains(said, p.Addr()+" has accepted a share after ") {
				t.Errorf("the user saw:\n%s", said)
			}
			if accepted, _ := p.Shares(); accepted == 0 || report.Pool != p.Addr() || report.PoolSeconds <= 0 {
				t.Errorf("%d shares, report %+v", accepted, report)
			}
			if want := "0xme.and@you.a.b:c:pa:ss@w/rd"; !slices.Contains(p.Users(), want) {
				t.Errorf("users %q, expected %q", p.Users(), want)
			}
			if again, err := provision(t, t.Context(), in, options); err != nil || !strings.Contains(again, "pool: done before, nothing has changed") {
				t.Errorf("again: %v\n%s", err, again)
			}
		})
	}
}

func TestPoolCheckIsChecked(t *testing.T) {
	for _, test := range []struct {
		block map[string]any
		want  string // "" if it is right
	}{
		{map[string]any{"pool": "stratum1+tcp://etc.example.org:4444", "wallet": "0x1"}, ""},
		{map[string]any{"pool": "stratum+ssl://[2001:db8::1]:4444", "wallet": "0x1", "timeout": "1h"}, ""},
		{map[string]any{}, "pool_check: wallet is missing"},
		{map[string]any{"pool": "etc.example.org:4444", "wallet": "0x1"}, `pool_check: pool "etc.example.org:4444": expected a scheme, a host and a port`},
		{map[string]any{"pool": "http://etc.example.org:4444", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://etc.example.org", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://etc.example.org:0", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://etc.example.org:99999", "wallet": "0x1"}, "expected a scheme"},
		{map[string]any{"pool": "stratum://me:secret@etc.example.org:1", "wallet": "0x1"}, `pool "...@etc.example.org:1": has a user in it; give that as wallet`},
		{map[string]any{"pool": "0xabc.rig:secret@etc.example.org:1", "wallet": "0x1"}, "has a user in it; give that as wallet"},
		{map[string]any{"pool": "0xabc:secret@etc.example.org", "wallet": "0x1"}, "has a user in it; give that as wallet"},
		{map[string]any{"pool": "stratum://etc.example.org:1", "wallet": "0x1", "timeout": "2h"}, `pool_check: timeout "2h": expected a duration from 1s to 1h0m0s`},
	} {
		p := &Provisioner{}
		err := p.Prepare(map[string]any{"source": source(t), "pool_check": test.block})
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%v: %v, expected %q", test.block, err, test.want)
		}
	}
}
