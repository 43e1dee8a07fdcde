// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"
)

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "CMakeLists.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPrepareDefaults(t *testing.T) {
	var p Provisioner
	if err := p.Prepare(map[string]any{}); err != nil {
		t.Fatal(err)
	}
	c := p.config
	if c.Source != Upstream || c.SourceRef != UpstreamCommit || c.parsed.kind != sourceGit || !c.parsed.upstream {
		t.Errorf("source %q, source_ref %q, kind %v", c.Source, c.SourceRef, c.parsed.kind)
	}
	if c.BinaryName != "ethminer" || c.Device != "auto" || c.BenchmarkBlock != 11_700_000 {
		t.Errorf("binary_name %q, device %q, benchmark_block %d", c.BinaryName, c.Device, c.BenchmarkBlock)
	}
	if c.parsed.startTimeout != 5*time.Minute || c.parsed.warmup != 30*time.Second || c.parsed.duration != time.Minute || c.parsed.floor != 0 {
		t.Errorf("parsed %+v", c.parsed)
	}
	if c.Service.False() || c.ExecuteAsRoot.False() {
		t.Error("service and execute_as_root are off by default")
	}
}

func TestPrepareRefuses(t *testing.T) {
	folder := source(t)
	empty := t.TempDir()
	const commit = "0123456789012345678901234567890123456789"
	for _, test := range []struct {
		name    string
		options map[string]any
		want    []string
	}{
		{"no such folder", map[string]any{"source": "./nowhere"}, []string{`source "./nowhere": no such folder`, "CMakeLists.txt", "${path.root}"}},
		{"a folder without CMakeLists.txt", map[string]any{"source": empty}, []string{"source \"" + empty + "\": the folder has no CMakeLists.txt", "name the top folder"}},
		{"a file", map[string]any{"source": filepath.Join(folder, "CMakeLists.txt")}, []string{"not a folder"}},
		{"a commit of a folder", map[string]any{"source": folder, "source_ref": commit}, []string{"source_ref", "is no git URL", "remove source_ref"}},
		{"an option as branch", map[string]any{"source": "https://example.com/m.git", "source_ref": "--upload-pack=x"}, []string{`source_ref "--upload-pack=x"`, "full commit", "git ls-remote https://example.com/m.git"}},
		{"a tarball without its sum", map[string]any{"source": "https://example.com/m.tar.gz"}, []string{`source_checksum ""`, "SHA-256", "sha256sum FILE"}},
		{"a tarball that is not there", map[string]any{"source": "m.tgz", "source_checksum": strings.Repeat("a", 64)}, []string{`source "m.tgz": no such file`, "${path.root}"}},
		{"a sum of a folder", map[string]any{"source": folder, "source_checksum": strings.Repeat("a", 64)}, []string{"source_checksum", "is no tarball"}},
		{"a phase", map[string]any{"phases": []string{"detect", "compile"}}, []string{`phases[1] "compile"`, "detect, driver, toolkit"}},
		{"a benchmark that nobody judges", map[string]any{"phases": []string{"benchmark"}}, []string{"benchmark and gate go together"}},
		{"a patch", map[string]any{"patches": []string{"./nowhere.patch"}}, []string{`patches[0] "./nowhere.patch": no such file`}},
		{"an edit", map[string]any{"skip_edits": []string{"x"}}, []string{`skip_edits[0] "x"`, "strand-context", "etchash-epoch-length"}},
		{"a package", map[string]any{"build_packages": []string{"a; reboot"}}, []string{`build_packages[0] "a; reboot"`}},
		{"a GPU type", map[string]any{"gpu_types": []string{"g4dn", "m5.large", "g3"}}, []string{`gpu_types[1]: instance type "m5.large"`, "g4dn", `gpu_types[2]: instance type "g3": its M60`}},
		{"a driver's branch", map[string]any{"driver_branch": 470}, []string{"driver_branch 470", "580"}},
		{"a CUDA version", map[string]any{"cuda_version": "12"}, []string{`cuda_version "12"`, `"12.9"`}},
		{"a CUDA that the driver cannot run", map[string]any{"cuda_version": "13.0", "driver_branch": 570}, []string{`cuda_version "13.0" needs a driver of branch 580`}},
		{"a coin", map[string]any{"coin": "eth"}, []string{`coin "eth"`, `"etc", "ethw" or "custom"`}},
		{"a short reboot", map[string]any{"reboot_timeout": "1s"}, []string{`reboot_timeout "1s"`, "from 10s to 1h0m0s"}},
		{"no commit", map[string]any{"source": "git@example.com:m.git"}, []string{`source_ref ""`}},
		{"a password", map[string]any{"source": "https://u:secret@example.com/m.git", "source_ref": commit}, []string{"https://u:xxxxx@example.com/m.git", "ends up in logs"}},
		{"not an option", map[string]any{"cmake_options": []string{"-DA=1", "B=2"}}, []string{`cmake_options[1] "B=2"`, "-DNAME=VALUE"}},
		{"a path as name", map[string]any{"binary_name": "bin/x"}, []string{`binary_name "bin/x"`, "without a folder"}},
		{"a device", map[string]any{"device": "opencl"}, []string{`device "opencl"`, `"auto", "cuda" or "cpu"`}},
		{"a block under 1", map[string]any{"benchmark_block": -1}, []string{"benchmark_block -1", "from 1 to"}},
		{"no unit of time", map[string]any{"benchmark_warmup": "30"}, []string{`benchmark_warmup "30"`, `"30s" or "2m"`}},
		{"no window", map[string]any{"benchmark_duration": "0s"}, []string{`benchmark_duration "0s"`, "from 1s to 1h0m0s"}},
		{"too long", map[string]any{"benchmark_start_timeout": "2h"}, []string{`benchmark_start_timeout "2h"`, "1h0m0s"}},
		{"a rate without unit", map[string]any{"min_hashrate": "25"}, []string{`min_hashrate: "25" is not a hash rate`, "25 Mh/s"}},
		{"a folder as report", map[string]any{"report_file": empty}, []string{"report_file", "is a folder", filepath.Join(empty, "benchmark.json")}},
		{"an option that is none", map[string]any{"hashrate": 1}, []string{"hashrate"}},
		{
			"all mistakes at once",
			map[string]any{"source": "./nowhere", "device": "x", "min_hashrate": "y", "benchmark_duration": "z", "cmake_options": []string{"a", "b"}},
			[]string{"source ", "device ", "min_hashrate", "benchmark_duration", "cmake_options[0]", "cmake_options[1]"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p Provisioner
			err := p.Prepare(test.options)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q: %v", part, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
}

// TestPrepareTakesPlaceholders: Packer passes "<unknown>", 0, false and empty
// lists at validate time for what only the build will know.
func TestPrepareTakesPlaceholders(t *testing.T) {
	var p Provisioner
	err := p.Prepare(map[string]any{
		"source": unknown, "source_ref": unknown, "cmake_options": []string{unknown}, "binary_name": unknown,
		"device": unknown, "benchmark_block": 0, "benchmark_start_timeout": unknown, "benchmark_warmup": unknown,
		"benchmark_duration": unknown, "min_hashrate": unknown, "service": false, "report_file": unknown, "execute_as_root": false,
		"phases": []string{unknown}, "source_checksum": unknown, "patches": []string{unknown}, "skip_edits": []string{unknown},
		"build_packages": []string{unknown}, "gpu_types": []string{unknown}, "driver_branch": 0, "cuda_version": unknown,
		"reboot_timeout": unknown, "shareable": false, "coin": unknown,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The second Prepare, with what is known by then, starts afresh.
	if err := p.Prepare(map[string]any{"source": source(t), "min_hashrate": "25 Mh/s"}); err != nil {
		t.Fatal(err)
	}
	if c := p.config; c.parsed.kind != sourceFolder || c.parsed.floor != 25e6 || c.SourceRef != "" || c.Service.False() || c.CMakeOptions != nil || c.Device != "auto" {
		t.Errorf("the first Prepare shows through: %+v", c)
	}
}

// TestPrepareReadsHCL decodes values as they come from an HCL template.
func TestPrepareReadsHCL(t *testing.T) {
	var p Provisioner
	attributes := map[string]cty.Value{}
	for name, kind := range hcldec.ImpliedType(p.ConfigSpec()).AttributeTypes() {
		attributes[name] = cty.NullVal(kind)
	}
	attributes["source"] = cty.StringVal("https://example.com/m.git")
	attributes["source_ref"] = cty.StringVal(UpstreamCommit)
	attributes["benchmark_block"] = cty.NumberIntVal(30000)
	attributes["service"] = cty.False
	attributes["execute_as_root"] = cty.True
	attributes["cmake_options"] = cty.ListVal([]cty.Value{cty.StringVal("-DA=1")})
	if err := p.Prepare(cty.ObjectVal(attributes)); err != nil {
		t.Fatal(err)
	}
	if c := p.config; c.BenchmarkBlock != 30000 || !c.Service.False() || c.ExecuteAsRoot.False() || len(c.CMakeOptions) != 1 {
		t.Errorf("config %+v", c)
	}
}
