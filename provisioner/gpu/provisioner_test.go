// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// provision runs the whole plan on an instance and returns the output.
func provision(t *testing.T, ctx context.Context, in *localInstance, options map[string]any) (string, error) {
	t.Helper()
	config := map[string]any{
		"benchmark_block":         1,
		"benchmark_warmup":        "0s",
		"benchmark_duration":      "1s",
		"benchmark_start_timeout": "20s",
		// The stand-ins do not depend on the user.
		"execute_as_root": false,
	}
	maps.Copy(config, options)
	p := &Provisioner{root: in.root}
	if err := p.Prepare(config); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	var said bytes.Buffer
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &said, ErrorWriter: &said}
	err := p.Provision(ctx, ui, in, nil)
	return said.String(), err
}

func TestProvisionInstallsMeasuresAndCleans(t *testing.T) {
	in := newInstance(t, tools())
	t.Setenv("TMPDIR", in.dir)
	reportFile := filepath.Join(t.TempDir(), "made", "benchmark.json")
	said, err := provision(t, t.Context(), in, map[string]any{
		"source":        minerSource(t, cpuMiner),
		"min_hashrate":  "400 h/s",
		"report_file":   reportFile,
		"cmake_options": []string{"-DNAME=it's $(date) \"x\"\nline"},
	})
	if err != nil {
		t.Fatalf("Provision: %v\n%s", err, said)
	}

	if got := in.installed(t, "/usr/local/bin/ethminer"); got != cpuMiner {
		t.Errorf("got installed binary:\n%s", got)
	}
	if got := in.installed(t, "/etc/systemd/system/ethminer.service"); !strings.Contains(got, "ExecStart=/usr/local/bin/ethminer") {
		t.Errorf("got installed unit:\n%s", got)
	}
	if got := in.notes("systemctl"); !strings.Contains(got, "enable ethminer.service") {
		t.Errorf("got systemctl calls %q, want one that enables the unit", got)
	}
	if got, want := in.notes("miner-args"), "--nocolor --stdout --cpu --display-interval 1 -M 1 --api-bind 127.0.0.1:-2"; !strings.HasPrefix(got, want) {
		t.Errorf("got miner arguments %q, want %q...", got, want)
	}
	if got := in.notes("cmake-options"); !strings.HasSuffix(got, "\n-DNAME=it's $(date) \"x\"\nline\n") || !strings.Contains(got, "-DETHASHCPU=ON\n") {
		t.Errorf("got cmake arguments %q", got)
	}
	if got := in.notes("miner-end"); got == "" {
		t.Error("the miner got no signal to stop")
	}
	if left := in.scratch(t); len(left) > 0 {
		t.Errorf("got leftover scratch files %q, want none", left)
	}

	onInstance := in.installed(t, "/etc/ethminer/benchmark.json")
	report, err := miner.DecodeReport([]byte(onInstance))
	if err != nil {
		t.Fatal(err)
	}
	if report.Hashrate != 412.3 || report.Samples < 2 || report.Epoch != 0 || report.DAGBytes != 1073739904 ||
		report.Accepted != 1 || !report.Reference || report.Device != "cpu" || report.CPU == "" || report.Verdict != "passed" || report.Floor != 400 {
		t.Errorf("got report %+v", report)
	}
	if report.WindowSeconds < 1 {
		t.Errorf("got a window of %v s, want 1 s or more", report.WindowSeconds)
	}
	if local, err := os.ReadFile(reportFile); err != nil || string(local) != onInstance {
		t.Errorf("report_file: %v, %q", err, local)
	}
	if want := "hash rate: 412.3 h/s (CPU: " + report.CPU + ", epoch 0, 1"; !strings.Contains(said, want) {
		t.Errorf("got output without %q:\n%s", want, said)
	}
	if want := "is for tests only and too slow for production"; !strings.Contains(said, want) {
		t.Errorf("got output without %q:\n%s", want, said)
	}
	for _, phase := range plan {
		if phase.asked != nil {
			continue
		}
		if !strings.Contains(said, phase.name+": done in ") {
			t.Errorf("got output without the end of phase %s:\n%s", phase.name, said)
		}
	}
	if logs, _ := filepath.Glob(filepath.Join(os.TempDir(), "ethminer-gpu-*.log")); len(logs) > 0 {
		t.Errorf("got local logs %q after success, want none", logs)
	}
}

func TestProvisionOnCUDA(t *testing.T) {
	programs := tools()
	programs["nvidia-smi"] = "printf 'Tesla T4, 7.5\\nTesla T4, 7.5\\n'\n"
	programs["nvcc"] = nvcc()
	in := newInstance(t, programs)
	twoGPUs := strings.Replace(cpuMiner, "cp0 412.30", "cu0 206.15, cu1 206.15", 1)
	source := minerSource(t, twoGPUs)
	said, err := provision(t, t.Context(), in, map[string]any{"source": source, "service": false})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if want := "hash rate: 412.3 h/s (GPU: 2 x Tesla T4, epoch 0, 1 s window, "; !strings.Contains(said, want) {
		t.Errorf("got output without %q:\n%s", want, said)
	}
	if got := in.notes("miner-args"); !strings.Contains(got, " -U ") {
		t.Errorf("got miner arguments %q, want -U", got)
	}
	for _, option := range []string{"-DETHASHCUDA=ON", "-DCOMPUTE=75"} {
		if !strings.Contains(in.notes("cmake-options"), option+"\n") {
			t.Errorf("got cmake arguments %q, want %s", in.notes("cmake-options"), option)
		}
	}
	if got := in.notes("systemctl"); got != "" {
		t.Errorf("got systemctl calls %q with service = false, want none", got)
	}
	said, err = provision(t, t.Context(), in, map[string]any{"source": source, "service": false})
	if err != nil || !strings.Contains(said, "install: already done, nothing has changed") || !strings.Contains(said, "benchmark: already done") {
		t.Errorf("the second run repeated work: %v\n%s", err, said)
	}
}

func TestChooseDevice(t *testing.T) {
	gpu := []string{"Tesla T4"}
	for _, test := range []struct {
		name, wanted string
		found        detected
		driverError  string
		want         string
		err          string
	}{
		{"no GPU and no toolkit", "auto", detected{}, "", "cpu", ""},
		{"a GPU and a toolkit", "auto", detected{gpus: gpu, toolkits: []nvidia.Installed{{Version: "12.9"}}}, "", "cuda", ""},
		{"a toolkit without a GPU", "auto", detected{toolkits: []nvidia.Installed{{Version: "12.9"}}}, "", "cpu", ""},
		{"a GPU without a toolkit is an error", "auto", detected{gpus: gpu}, "", "", "no CUDA toolkit"},
		{"a driver without a GPU", "auto", detected{toolkits: []nvidia.Installed{{Version: "12.9"}}}, "couldn't communicate", "cpu", ""},
		{"a broken driver is an error", "auto", detected{pciGPUs: 1}, "Driver/library version mismatch", "", "Driver/library version mismatch"},
		{"a GPU without a driver is an error", "auto", detected{pciGPUs: 1}, "", "", "1 NVIDIA GPU on the PCI bus but no driver"},
		{"the user chose the CPU despite a GPU without a driver", "cpu", detected{pciGPUs: 1}, "", "cpu", ""},
		{"the user chose the CPU", "cpu", detected{gpus: gpu, toolkits: []nvidia.Installed{{Version: "12.9"}}}, "", "cpu", ""},
		{"the user chose the CPU despite a broken driver", "cpu", detected{}, "mismatch", "cpu", ""},
		{"cuda without a GPU", "cuda", detected{toolkits: []nvidia.Installed{{Version: "12.9"}}}, "", "", "no NVIDIA GPU (none on the PCI bus"},
		{"Ubuntu's driver can be installed", "auto", detected{distribution: "ubuntu 24.04", pciGPUs: 1}, "", "cuda", ""},
		{"the toolkit can be downloaded", "auto", detected{distribution: "ubuntu 22.04", gpus: gpu}, "", "cuda", ""},
		{"a broken driver is not replaced", "auto", detected{distribution: "ubuntu 22.04", pciGPUs: 1}, "mismatch", "", "mismatch"},
	} {
		got, err := chooseDevice(test.wanted, test.found, test.driverError)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %q, %v, want %q, %q", test.name, got, err, test.want, test.err)
		}
	}
}
