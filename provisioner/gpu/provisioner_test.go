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
)

// provision runs the whole plan on an instance; it returns what the user saw.
func provision(t *testing.T, ctx context.Context, in *localInstance, options map[string]any) (string, error) {
	t.Helper()
	config := map[string]any{
		"benchmark_block":         1,
		"benchmark_warmup":        "0s",
		"benchmark_duration":      "1s",
		"benchmark_start_timeout": "20s",
		// The tests' stand-ins do not look at who they are.
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
		t.Errorf("installed binary:\n%s", got)
	}
	if got := in.installed(t, "/etc/systemd/system/ethminer.service"); !strings.Contains(got, "ExecStart=/usr/local/bin/ethminer") {
		t.Errorf("installed unit:\n%s", got)
	}
	if got := in.notes("systemctl"); !strings.Contains(got, "enable ethminer.service") {
		t.Errorf("systemctl was asked %q, expected it to enable the unit", got)
	}
	if got, want := in.notes("miner-args"), "--cpu --nocolor --stdout --display-interval 1 -M 1 --api-bind 127.0.0.1:-2"; !strings.HasPrefix(got, want) {
		t.Errorf("the miner ran with %q, expected %q...", got, want)
	}
	if got := in.notes("cmake-options"); !strings.HasSuffix(got, "\n-DNAME=it's $(date) \"x\"\nline\n") || !strings.Contains(got, "-DETHASHCPU=ON\n") {
		t.Errorf("cmake got %q", got)
	}
	if got := in.notes("miner-end"); got == "" {
		t.Error("the miner was not asked to end")
	}
	if left := in.scratch(t); len(left) > 0 {
		t.Errorf("left in the scratch folder's place: %q", left)
	}

	onInstance := in.installed(t, "/etc/ethminer/benchmark.json")
	report, err := miner.DecodeReport([]byte(onInstance))
	if err != nil {
		t.Fatal(err)
	}
	if report.Hashrate != 412.3 || report.Samples < 2 || report.Epoch != 0 || report.DAGBytes != 1073739904 ||
		report.Accepted != 1 || !report.Reference || report.Device != "cpu" || report.CPU == "" || report.Verdict != "passed" || report.Floor != 400 {
		t.Errorf("report: %+v", report)
	}
	if report.WindowSeconds < 1 {
		t.Errorf("window of %v s, expected 1 s or more", report.WindowSeconds)
	}
	if local, err := os.ReadFile(reportFile); err != nil || string(local) != onInstance {
		t.Errorf("report_file: %v, %q", err, local)
	}
	if want := "hash rate: 412.3 h/s (CPU: " + report.CPU + ", epoch 0, 1"; !strings.Contains(said, want) {
		t.Errorf("the user saw no %q in:\n%s", want, said)
	}
	if want := "is a stand-in"; !strings.Contains(said, want) {
		t.Errorf("the user saw no %q in:\n%s", want, said)
	}
	for _, phase := range plan {
		if phase.asked != nil {
			continue
		}
		if !strings.Contains(said, phase.name+": started") || !strings.Contains(said, phase.name+": done in ") {
			t.Errorf("phase %s has not said when it began and ended:\n%s", phase.name, said)
		}
	}
	if logs, _ := filepath.Glob(filepath.Join(os.TempDir(), "ethminer-gpu-*.log")); len(logs) > 0 {
		t.Errorf("local logs left after success: %q", logs)
	}
}

func TestProvisionOnCUDA(t *testing.T) {
	programs := tools()
	programs["nvidia-smi"] = "printf 'Tesla T4, 7.5\\nTesla T4, 7.5\\n'\n"
	programs["nvcc"] = "exit 0\n"
	in := newInstance(t, programs)
	twoGPUs := strings.Replace(cpuMiner, "cp0 412.30", "cu0 206.15, cu1 206.15", 1)
	said, err := provision(t, t.Context(), in, map[string]any{"source": minerSource(t, twoGPUs), "service": false})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if want := "hash rate: 412.3 h/s (GPU: 2 x Tesla T4, epoch 0, 1 s window, "; !strings.Contains(said, want) {
		t.Errorf("the user saw no %q in:\n%s", want, said)
	}
	if got := in.notes("miner-args"); !strings.HasPrefix(got, "-U ") {
		t.Errorf("the miner ran with %q, expected -U", got)
	}
	for _, option := range []string{"-DETHASHCUDA=ON", "-DCOMPUTE=75"} {
		if !strings.Contains(in.notes("cmake-options"), option+"\n") {
			t.Errorf("cmake got %q, expected %s", in.notes("cmake-options"), option)
		}
	}
	if got := in.notes("systemctl"); got != "" {
		t.Errorf("systemctl was asked %q with service = false", got)
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
		{"nothing there", "auto", detected{}, "", "cpu", ""},
		{"all there", "auto", detected{gpus: gpu, nvcc: "/n"}, "", "cuda", ""},
		{"a toolkit without a GPU", "auto", detected{nvcc: "/n"}, "", "cpu", ""},
		{"a GPU that could mine is never passed over in silence", "auto", detected{gpus: gpu}, "", "", "no CUDA toolkit"},
		{"a driver without a GPU", "auto", detected{nvcc: "/n"}, "couldn't communicate", "cpu", ""},
		{"a broken driver neither", "auto", detected{pciGPUs: 1}, "Driver/library version mismatch", "", "Driver/library version mismatch"},
		{"a GPU without any driver neither", "auto", detected{pciGPUs: 1}, "", "", "1 NVIDIA GPU on the PCI bus but no driver"},
		{"but the user may insist", "cpu", detected{pciGPUs: 1}, "", "cpu", ""},
		{"the user's wish", "cpu", detected{gpus: gpu, nvcc: "/n"}, "", "cpu", ""},
		{"the wish, over a broken driver", "cpu", detected{}, "mismatch", "cpu", ""},
		{"what is not there cannot be wished", "cuda", detected{nvcc: "/n"}, "", "", "no NVIDIA GPU: none is on its PCI bus"},
		{"Ubuntu's driver can be installed", "auto", detected{distribution: "ubuntu 24.04", pciGPUs: 1}, "", "cuda", ""},
		{"and the toolkit be fetched", "auto", detected{distribution: "ubuntu 22.04", gpus: gpu}, "", "cuda", ""},
		{"but a broken driver is not for us to mend", "auto", detected{distribution: "ubuntu 22.04", pciGPUs: 1}, "mismatch", "", "mismatch"},
	} {
		got, err := chooseDevice(test.wanted, test.found, test.driverError)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v; expected %q, %q", test.name, got, err, test.want, test.err)
		}
	}
}
