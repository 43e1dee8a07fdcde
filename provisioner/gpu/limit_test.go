// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// membenchNVCC returns a compiler whose output prints a given measurement.
func membenchNVCC(prints string) string {
	return `case $* in *membench.cu) for last; do [ "$previous" != -o ] || out=$last; previous=$last; done
printf '#!/bin/sh\n` + prints + `\n' >"$out" && chmod +x "$out"; exit ;; esac
` + nvcc()
}

// TestLimit: the limit is measured, or taken from the data sheet of the GPU, by its name
// in the driver or by the instance type.
func TestLimit(t *testing.T) {
	const t4, l4 = 39.0625, 36.62109375 // Mh/s
	for _, test := range []struct {
		name, gpu, measured string
		options             map[string]any
		limit               float64 // Mh/s
		source              string
		fails               string
	}{
		{name: "measured", gpu: "Tesla T4", measured: "echo gpu 0 262144000000", limit: 32, source: "measured"},
		{name: "measured on an unknown GPU", gpu: "NVIDIA X1", measured: "echo gpu 0 262144000000", limit: 32, source: "measured"},
		{name: "the measurement fails", gpu: "Tesla T4", measured: "echo out of memory >&2; exit 1", limit: t4, source: "data sheet"},
		{name: "one GPU less than there are", gpu: "NVIDIA L4", measured: ":", limit: l4, source: "data sheet"},
		{name: "more than the data sheet is no measurement", gpu: "Tesla T4", measured: "echo gpu 0 900000000000", limit: t4, source: "data sheet"},
		{name: "neither", gpu: "NVIDIA X1", measured: "exit 1", limit: 0, source: ""},
		{name: "neither, and a share is asked for", gpu: "NVIDIA X1", measured: "exit 1", options: map[string]any{"min_limit_share": 0.5}, fails: "min_limit_share 0.5: the limit is not known: the bandwidth of a NVIDIA X1 is not known"},
		{name: "a share of what was measured", gpu: "Tesla T4", measured: "echo gpu 0 262144000000", options: map[string]any{"min_limit_share": 0.9}, fails: "which is 78 % of the 32.00 Mh/s that the memory bandwidth allows (measured)"},
		{name: "above what was measured, and nothing else is known", gpu: "NVIDIA X1", measured: "echo gpu 0 163840000000", fails: "the GPU memory allows at most 22.00 Mh/s (limit 20.00 Mh/s, measured)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			programs["nvidia-smi"] = "echo '" + test.gpu + ", 7.5, 580.95.05'\n"
			programs["nvcc"] = membenchNVCC(test.measured)
			in := newInstance(t, programs)
			options := map[string]any{"source": minerSource(t, prints(" m 16:39:20 ethminer 0:00 A0 25.00 Mh - cu0 25.00")), "benchmark_api": false}
			for k, v := range test.options {
				options[k] = v
			}
			said, err := provision(t, t.Context(), in, options)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Fatalf("got error %v, want %q", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			report, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
			if err != nil || math.Abs(float64(report.Limit)/1e6-test.limit) > 0.001 || report.LimitSource != test.source {
				t.Errorf("got limit %s, %q, %v, want %v Mh/s, %q", report.Limit, report.LimitSource, err, test.limit, test.source)
			}
		})
	}
}

// TestMembench runs the program's code on a CPU: it reads correct data, and stays within
// the free memory.
func TestMembench(t *testing.T) {
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("SKIPPED: needs g++: apt-get install g++")
	}
	program := filepath.Join(t.TempDir(), "membench")
	if out, err := exec.Command("g++", "-std=c++20", "-O1", "-Wall", "-Wextra", "-x", "c++", "-DON_CPU", "-I../../example/miner/test", "scripts/membench.cu", "-o", program, "-pthread").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, bytes := range []string{"1000000", "100000000000"} {
		out, err := exec.Command(program, bytes, "0.05").Output()
		fields := strings.Fields(string(out))
		if err != nil || len(fields) != 3 || fields[0] != "gpu" || fields[1] != "0" {
			t.Fatalf("%s bytes: got %q, %v", bytes, out, err)
		}
		if rate, err := strconv.ParseFloat(fields[2], 64); err != nil || rate <= 0 {
			t.Errorf("%s bytes: got %q, %v", bytes, out, err)
		}
	}
}
