// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"maps"
	"strings"
	"testing"
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

// Each stand-in behaves like one miner that was seen; the verdict and its
// message come through the whole provisioner.
func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name     string
		programs map[string]string
		miner    string
		options  map[string]any
		want     []string // parts of the error; of what the user sees where it passes
		passes   bool
	}{
		{
			name:  "the DAG does not fit",
			miner: "#!/bin/sh\n" + versionLine + "echo \" X 16:39:20 cuda-0 This device hasn't enough memory available. Mining suspended ...\"\nwhile :; do echo ' m 16:39:20 ethminer 0:00 A0 0.00 h - cu0 0.00'; sleep 0.1; done\n", programs: gpus(1),
			options: map[string]any{"benchmark_start_timeout": "1s"},
			want:    []string{"no hash rate above zero", "a GPU with more memory or a smaller benchmark_block", "hasn't enough memory available"},
		},
		{
			name:  "one of four GPUs is silent",
			miner: prints(" m 16:39:20 ethminer 0:00 A0 75.00 Mh - cu0 25.00, cu1 25.00, cu2 0.00, cu3 25.00"), programs: gpus(4),
			want: []string{"gate: failed", "cu2 mined nothing, while all together made 75.00 Mh/s"},
		},
		{
			name:  "one of four GPUs is silent, and the log says why",
			miner: prints("CUDA error in func set_constants at line 110 invalid device symbol on CUDA device 01:00.0", " m 16:39:20 ethminer 0:00 A0 75.00 Mh - cu0 25.00, cu1 25.00, cu2 0.00, cu3 25.00"), programs: gpus(4),
			want: []string{"cu2 mined nothing", "its log says why: the binary was built for another GPU", "on CUDA device 01:00.0"},
		},
		{
			name:  "one of four GPUs is not there",
			miner: prints(" m 16:39:20 ethminer 0:00 A0 75.00 Mh - cu0 25.00, cu1 25.00, cu2 25.00"), programs: gpus(4),
			want: []string{"4 GPUs are there", "name only cu0, cu1, cu2"},
		},
		{
			name:  "rejected shares",
			miner: prints(" X 16:39:20 main **Rejected   1 ms. localhost:0", " m 16:39:20 ethminer 0:00 A0:R1 5.00 Kh - cp0 5.00"),
			want:  []string{"solutions were rejected", "wrong DAG or algorithm"},
		},
		{
			name:    "an unsteady rate",
			miner:   prints(" m 16:39:20 ethminer 0:00 A0 5.00 Kh - cp0 5.00", " m 16:39:20 ethminer 0:00 A0 1.00 Kh - cp0 1.00"),
			options: map[string]any{"max_variation": 0.1},
			want:    []string{"which varies by ", "expected max_variation 0.1 or less"},
		},
		{
			name:  "one slow GPU",
			miner: prints(" m 16:39:20 ethminer 0:00 A0 37.00 Mh - cu0 25.00, cu1 12.00"), programs: gpus(2),
			options: map[string]any{"min_hashrate_per_gpu": "24 Mh/s", "min_hashrate": "30 Mh/s"},
			want:    []string{"cu1 made 12.00 Mh/s (50 % of the floor)", "cu0 25.00 Mh/s, cu1 12.00 Mh/s"},
		},
		{
			name:    "a limit that is not known",
			miner:   cpuMiner,
			options: map[string]any{"min_limit_share": 0.6},
			want:    []string{"benchmark: failed", "min_limit_share 0.6: the limit is not known: the benchmark runs on a CPU"},
		},
		{name: "the lines of 0.14", passes: true, miner: prints("  m  18:45:25|ethminer|  Speed 319.85 Mh/s    gpu/0 160.00  gpu/1 159.85  [A203+3:R0+0:F0] Time: 00:40"), want: []string{"hash rate: 319.9 Mh/s"}},
		{name: "the lines of 0.12", passes: true, miner: prints(" m 15:28:33 main     Speed 25.25 Mh/s gpu0 25.25 [A90+6] Time: 13:58"), want: []string{"hash rate: 25.25 Mh/s"}},
		{name: "h", passes: true, miner: prints(" m 16:39:20 ethminer 0:00 A0 5.00 h - cp0 5.00"), want: []string{"hash rate: 5.00 h/s"}},
		{name: "Gh", passes: true, miner: prints(" m 16:39:20 ethminer 0:00 A0 1.50 Gh - cp0 1.50"), want: []string{"hash rate: 1.50 Gh/s"}},
		{name: "a unit that changes", passes: true, miner: prints(" m 16:39:20 ethminer 0:00 A0 999.99 Kh - cp0 999.99", " m 16:39:20 ethminer 0:00 A0 1.00 Mh - cp0 1.00"), want: []string{"hash rate: 1.00 Mh/s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			maps.Copy(programs, test.programs)
			options := map[string]any{"source": minerSource(t, test.miner)}
			maps.Copy(options, test.options)
			said, err := provision(t, t.Context(), newInstance(t, programs), options)
			if (err == nil) != test.passes {
				t.Fatalf("%v; the user saw:\n%s", err, said)
			}
			text := said
			if err != nil {
				text = err.Error()
			}
			for _, part := range test.want {
				if !strings.Contains(text, part) {
					t.Errorf("it lacks %q:\n%s", part, text)
				}
			}
		})
	}
}
