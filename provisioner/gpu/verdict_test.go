// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"maps"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/test/miners"
)

// prints returns a miner that prints the given lines in turn, ten times per second.
func prints(lines ...string) string {
	script := "#!/bin/sh\n" + versionLine + "while :; do\n"
	for _, line := range lines {
		script += "echo '" + line + "'; sleep 0.1\n"
	}
	return script + "done\n"
}

// gpus returns stand-ins for a machine with NVIDIA GPUs and a toolkit.
func gpus(n int) map[string]string {
	return map[string]string{"nvidia-smi": "printf '" + strings.Repeat("Tesla T4, 7.5\\n", n) + "'\n", "nvcc": nvcc()}
}

// TestVerdicts runs the whole provisioner for each stand-in miner and checks its verdict
// and message. test/miners_test.go runs the same through Packer.
func TestVerdicts(t *testing.T) {
	all, err := miners.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			if m.GPUs > 0 {
				maps.Copy(programs, gpus(m.GPUs))
			}
			in := newInstance(t, programs)
			options := map[string]any{"source": minerSource(t, m.Script)}
			maps.Copy(options, m.Options)
			said, err := provision(t, t.Context(), in, options)
			if (err == nil) != (len(m.Fails) == 0) {
				t.Fatalf("%v\n%s", err, said)
			}
			text := said
			if err != nil {
				text = err.Error()
			}
			for _, part := range append(m.Fails, m.Says...) {
				if !strings.Contains(text, part) {
					t.Errorf("got output without %q:\n%s", part, text)
				}
			}
			if left := in.scratch(t); err == nil && len(left) > 0 {
				t.Errorf("got leftover files %q on the instance, want none", left)
			}
		})
	}
}

// TestUnknownLimit: the bandwidth limit applies only to GPUs.
func TestUnknownLimit(t *testing.T) {
	_, err := provision(t, t.Context(), newInstance(t, tools()), map[string]any{"source": minerSource(t, cpuMiner), "min_limit_share": 0.6})
	if err == nil || !strings.Contains(err.Error(), "min_limit_share 0.6: the limit is not known: the benchmark runs on a CPU") {
		t.Errorf("got error %v", err)
	}
}
