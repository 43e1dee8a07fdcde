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

// prints is a miner that prints the lines given, in turn, ten times a second.
func prints(lines ...string) string {
	script := "#!/bin/sh\n" + versionLine + "while :; do\n"
	for _, line := range lines {
		script += "echo '" + line + "'; sleep 0.1\n"
	}
	return script + "done\n"
}

// gpus stands in for a machine with NVIDIA GPUs and a toolkit.
func gpus(n int) map[string]string {
	return map[string]string{"nvidia-smi": "printf '" + strings.Repeat("Tesla T4, 7.5\\n", n) + "'\n", "nvcc": "exit 0\n"}
}

// Each stand-in's verdict, and its message, come through the whole provisioner.
// The same goes through Packer in test/miners_test.go.
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
				t.Fatalf("%v; the user saw:\n%s", err, said)
			}
			text := said
			if err != nil {
				text = err.Error()
			}
			for _, part := range append(m.Fails, m.Says...) {
				if !strings.Contains(text, part) {
					t.Errorf("it lacks %q:\n%s", part, text)
				}
			}
			if left := in.scratch(t); err == nil && len(left) > 0 {
				t.Errorf("left on the instance: %q", left)
			}
		})
	}
}

// The limit is the GPUs', which a CPU has none of.
func TestLimitThatIsNotKnown(t *testing.T) {
	_, err := provision(t, t.Context(), newInstance(t, tools()), map[string]any{"source": minerSource(t, cpuMiner), "min_limit_share": 0.6})
	if err == nil || !strings.Contains(err.Error(), "min_limit_share 0.6: the limit is not known: the benchmark runs on a CPU") {
		t.Errorf("error %v", err)
	}
}
