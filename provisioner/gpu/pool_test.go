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

// referenceMiner builds the reference miner for an algorithm.
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

// TestPoolCheck runs a real miner at a pool that verifies each share.
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
			want: []string{"pool: failed", " shares and accepted none", "which was built for Ethash: set coin", "most likely the pool's coin differs", "**Rejected"},
		},
		{name: "login refused", miner: ethash, pool: pool.Config{Locked: true}, want: []string{"the miner exited unexpectedly (exit code 2) before a share was accepted by 127.0.0.1:", "check pool, wallet and password", "does not let <sensitive> in"}},
		{name: "no work", miner: ethash, pool: pool.Config{Silent: true}, options: map[string]any{"timeout": "2s"}, want: []string{"accepted no share within 2s (pool_check: timeout) at ", "Authorized worker"}},
		{name: "too hard", miner: ethash, pool: pool.Config{Difficulty: 1 << 50}, options: map[string]any{"timeout": "4s"}, want: []string{"accepted no share within 4s", "the pool's difficulty is too high for the rate"}},
		{name: "connection refused", miner: ethash, options: map[string]any{"pool": "stratum1+tcp://127.0.0.1:1"}, want: []string{"before a share was accepted by 127.0.0.1:1", "cannot connect to 127.0.0.1:1: Connection refused"}},
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
				"cmake_options": []string{"-DETCHASH=ON"}, // no effect: the build is a stand-in
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
			for _, secret := range []string{"pa:ss@w/rd", "pa%3ass%40w%2frd", "0xme.and@you", "0xme%2eand%40you"} {
				if strings.Contains(commands.String()+said, secret) || err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("got the password or the wallet in a command, the output or the error:\n%s\n%v", said, err)
				}
			}
			report, reportErr := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
			if reportErr != nil {
				t.Fatal(reportErr)
			}
			if err != nil {
				if report.Pool != "" {
					t.Errorf("got a pool in the report: %+v", report)
				}
				return
			}
			if !strings.Contains(said, "pool: done in ") || !strings.Contains(said, p.Addr()+" accepted a share after ") {
				t.Errorf("got output:\n%s", said)
			}
			if accepted, _ := p.Shares(); accepted == 0 || report.Pool != p.Addr() || report.PoolSeconds <= 0 {
				t.Errorf("got %d shares, report %+v", accepted, report)
			}
			if want := "0xme.and@you.a.b:c:pa:ss@w/rd"; !slices.Contains(p.Users(), want) {
				t.Errorf("got users %q, want %q", p.Users(), want)
			}
			if again, err := provision(t, t.Context(), in, options); err != nil || !strings.Contains(again, "pool: already done, nothing has changed") {
				t.Errorf("second run: %v\n%s", err, again)
			}
		})
	}
}
