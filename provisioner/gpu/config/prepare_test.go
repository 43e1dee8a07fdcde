// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "CMakeLists.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// anyPhases allows every phase.
func anyPhases([]string) error { return nil }

func TestPrepareDefaults(t *testing.T) {
	var c Config
	if err := c.Prepare(anyPhases, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if c.Source != Upstream || c.SourceRef != UpstreamCommit || c.parsed.Kind != SourceGit {
		t.Errorf("got source %q, source_ref %q, kind %v", c.Source, c.SourceRef, c.parsed.Kind)
	}
	if c.BinaryName != "ethminer" || c.Device != "auto" || c.BenchmarkBlock != 11_700_000 {
		t.Errorf("got binary_name %q, device %q, benchmark_block %d", c.BinaryName, c.Device, c.BenchmarkBlock)
	}
	if c.parsed.StartTimeout != 5*time.Minute || c.parsed.Warmup != time.Minute || c.parsed.Duration != 2*time.Minute || c.parsed.Floor != 0 {
		t.Errorf("got %+v", c.parsed)
	}
	if c.Service.False() || c.ExecuteAsRoot.False() {
		t.Error("got service or execute_as_root off by default, want both on")
	}
}

func TestPrepareErrors(t *testing.T) {
	folder := source(t)
	empty, loop := t.TempDir(), t.TempDir()
	if err := os.Symlink("CMakeLists.txt", filepath.Join(loop, "CMakeLists.txt")); err != nil {
		t.Skip("SKIPPED: no symbolic links here: ", err)
	}
	const commit = "0123456789012345678901234567890123456789"
	for _, test := range []struct {
		name    string
		options map[string]any
		want    []string
	}{
		{"no such folder", map[string]any{"source": "./nowhere"}, []string{`source "./nowhere": no such folder`, "CMakeLists.txt", "${path.root}"}},
		{"a folder whose CMakeLists.txt cannot be read", map[string]any{"source": loop}, []string{"source \"" + loop + "\": looking for CMakeLists.txt: ", "readable for the user who runs packer"}},
		{"a misspelled scheme", map[string]any{"source": "htps://example.com/miner.git", "source_ref": "main"}, []string{`got the scheme "htps", want a git URL that begins with https://`}},
		{"an unsupported scheme", map[string]any{"source": "s3://bucket/miner", "source_ref": "main"}, []string{`got the scheme "s3"`}},
		{"a misspelled scheme of a tarball", map[string]any{"source": "htttps://example.com/miner.tar.gz", "source_checksum": strings.Repeat("0", 64)}, []string{`got the scheme "htttps", want a tarball's URL`}},
		{"a folder without CMakeLists.txt", map[string]any{"source": empty}, []string{"source \"" + empty + "\": the folder has no CMakeLists.txt", "set source to the top folder"}},
		{"a file", map[string]any{"source": filepath.Join(folder, "CMakeLists.txt")}, []string{"not a folder"}},
		{"a folder with source_ref", map[string]any{"source": folder, "source_ref": commit}, []string{"source_ref", "is not a git URL", "remove source_ref"}},
		{"an option as branch", map[string]any{"source": "https://example.com/m.git", "source_ref": "--upload-pack=x"}, []string{`source_ref "--upload-pack=x"`, "full commit", "git ls-remote https://example.com/m.git"}},
		{"a tarball without a checksum", map[string]any{"source": "https://example.com/m.tar.gz"}, []string{`source_checksum ""`, "SHA-256", "sha256sum FILE"}},
		{"a missing tarball", map[string]any{"source": "m.tgz", "source_checksum": strings.Repeat("a", 64)}, []string{`source "m.tgz": no such file`, "${path.root}"}},
		{"a folder with a checksum", map[string]any{"source": folder, "source_checksum": strings.Repeat("a", 64)}, []string{"source_checksum", "is not a tarball"}},
		{"a missing patch", map[string]any{"patches": []string{"./nowhere.patch"}}, []string{`patches[0] "./nowhere.patch": no such file`}},
		{"an unknown edit", map[string]any{"skip_edits": []string{"x"}}, []string{`skip_edits[0] "x"`, "strand-context", "etchash-epoch-length"}},
		{"an invalid package name", map[string]any{"build_packages": []string{"a; reboot"}}, []string{`build_packages[0] "a; reboot"`}},
		{"unsupported GPU types", map[string]any{"gpu_types": []string{"g4dn", "m5.large", "g3"}}, []string{`gpu_types[1]: instance type "m5.large"`, "g4dn", `gpu_types[2]: instance type "g3": its M60`}},
		{"an unsupported driver branch", map[string]any{"driver_branch": 470}, []string{"driver_branch 470", "580"}},
		{"an invalid CUDA version", map[string]any{"cuda_version": "12"}, []string{`cuda_version "12"`, `"12.9"`}},
		{"a CUDA version that upstream does not build with", map[string]any{"cuda_version": "13.0"}, []string{`cuda_version "13.0": upstream ethminer uses CMake's FindCUDA`, `use cuda_version "12.9"`}},
		{"a CUDA version that the driver cannot run", map[string]any{"source": "https://example.com/miner.git", "source_ref": UpstreamCommit, "cuda_version": "13.0", "driver_branch": 570}, []string{`cuda_version "13.0" requires driver branch 580`}},
		{"an unknown coin", map[string]any{"coin": "eth"}, []string{`coin "eth"`, `"etc", "ethw" or "custom"`}},
		{"a reboot timeout that is too short", map[string]any{"reboot_timeout": "1s"}, []string{`reboot_timeout "1s"`, "from 10s to 1h0m0s"}},
		{"no commit", map[string]any{"source": "git@example.com:m.git"}, []string{`source_ref ""`}},
		{"a password in the URL", map[string]any{"source": "https://u:secret@example.com/m.git", "source_ref": commit}, []string{"https://u:xxxxx@example.com/m.git", "ends up in logs"}},
		{"not a CMake option", map[string]any{"cmake_options": []string{"-DA=1", "B=2"}}, []string{`cmake_options[1] "B=2"`, "-DNAME=VALUE"}},
		{"a path as name", map[string]any{"binary_name": "bin/x"}, []string{`binary_name "bin/x"`, "without a folder"}},
		{"an unknown device", map[string]any{"device": "opencl"}, []string{`device "opencl"`, `"auto", "cuda" or "cpu"`}},
		{"a block under 1", map[string]any{"benchmark_block": -1}, []string{"benchmark_block -1", "from 1 to"}},
		{"a duration without a unit", map[string]any{"benchmark_warmup": "30"}, []string{`benchmark_warmup "30"`, `"30s" or "2m"`}},
		{"a duration of zero", map[string]any{"benchmark_duration": "0s"}, []string{`benchmark_duration "0s"`, "from 1s to 1h0m0s"}},
		{"a duration that is too long", map[string]any{"benchmark_start_timeout": "2h"}, []string{`benchmark_start_timeout "2h"`, "1h0m0s"}},
		{"a rate without unit", map[string]any{"min_hashrate": "25"}, []string{`min_hashrate: "25" is not a hash rate`, "25 Mh/s"}},
		{"a folder as report", map[string]any{"report_file": empty}, []string{"report_file", "is a folder", filepath.Join(empty, "benchmark.json")}},
		{"an unknown option", map[string]any{"hashrate": 1}, []string{"hashrate"}},
		{
			"all errors at once",
			map[string]any{"source": "./nowhere", "device": "x", "min_hashrate": "y", "benchmark_duration": "z", "cmake_options": []string{"a", "b"}},
			[]string{"source ", "device ", "min_hashrate", "benchmark_duration", "cmake_options[0]", "cmake_options[1]"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Config
			err := c.Prepare(anyPhases, test.options)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q: %v", part, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("got a password in the error: %v", err)
			}
		})
	}
}

// TestPrepareAcceptsPlaceholders: during validate, Packer passes "<unknown>", 0, false and
// empty lists for values that only the build knows.
func TestPrepareAcceptsPlaceholders(t *testing.T) {
	var c Config
	err := c.Prepare(anyPhases, map[string]any{
		"source": hclvalue.Unknown, "source_ref": hclvalue.Unknown, "cmake_options": []string{hclvalue.Unknown}, "binary_name": hclvalue.Unknown,
		"device": hclvalue.Unknown, "benchmark_block": 0, "benchmark_start_timeout": hclvalue.Unknown, "benchmark_warmup": hclvalue.Unknown,
		"benchmark_duration": hclvalue.Unknown, "min_hashrate": hclvalue.Unknown, "service": false, "report_file": hclvalue.Unknown, "execute_as_root": false,
		"phases": []string{hclvalue.Unknown}, "source_checksum": hclvalue.Unknown, "patches": []string{hclvalue.Unknown}, "skip_edits": []string{hclvalue.Unknown},
		"build_packages": []string{hclvalue.Unknown}, "gpu_types": []string{hclvalue.Unknown}, "driver_branch": 0, "cuda_version": hclvalue.Unknown,
		"reboot_timeout": hclvalue.Unknown, "shareable": false, "coin": hclvalue.Unknown,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The second Prepare, with the known values, must not depend on the first.
	if err := c.Prepare(anyPhases, map[string]any{"source": source(t), "min_hashrate": "25 Mh/s"}); err != nil {
		t.Fatal(err)
	}
	if c.parsed.Kind != SourceFolder || c.parsed.Floor != 25e6 || c.SourceRef != "" || c.Service.False() || c.CMakeOptions != nil || c.Device != "auto" {
		t.Errorf("the second Prepare depends on the first: %+v", c)
	}
}

// TestPrepareReadsHCL decodes values as they come from an HCL template.
func TestPrepareReadsHCL(t *testing.T) {
	var c Config
	attributes := map[string]cty.Value{}
	for name, kind := range hcldec.ImpliedType(hcldec.ObjectSpec(c.FlatMapstructure().HCL2Spec())).AttributeTypes() {
		attributes[name] = cty.NullVal(kind)
	}
	attributes["source"] = cty.StringVal("https://example.com/m.git")
	attributes["source_ref"] = cty.StringVal(UpstreamCommit)
	attributes["benchmark_block"] = cty.NumberIntVal(30000)
	attributes["service"] = cty.False
	attributes["execute_as_root"] = cty.True
	attributes["cmake_options"] = cty.ListVal([]cty.Value{cty.StringVal("-DA=1")})
	if err := c.Prepare(anyPhases, cty.ObjectVal(attributes)); err != nil {
		t.Fatal(err)
	}
	if c.BenchmarkBlock != 30000 || !c.Service.False() || c.ExecuteAsRoot.False() || len(c.CMakeOptions) != 1 {
		t.Errorf("got config %+v", c)
	}
}
