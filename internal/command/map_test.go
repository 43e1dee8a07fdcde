// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mapTemplate = `Mappings:
  AWSRegion2AMI:
    us-east-1:
      AMI: ami-00000000000000001 # old
    eu-west-1:
      AMI: ""
Resources: {}
`

const mapManifest = `{"builds": [
  {"name": "new", "builder_type": "ethminer-ami", "build_time": 20, "artifact_id": "eu-west-1:ami-0000000000000000b"},
  {"name": "old", "builder_type": "amazon-ebs", "build_time": 10, "artifact_id": "eu-west-1:ami-0000000000000000a,us-east-1:ami-0000000000000000a"},
  {"name": "other", "builder_type": "docker", "build_time": 30, "artifact_id": "sha256:1"}], "last_run_uuid": "x"}
`

func TestMap(t *testing.T) {
	const id = "ami-0123456789abcdef0"
	for _, tt := range []struct {
		why      string
		args     string // T is the template, DIR its folder
		code     int
		out, err string // parts of the output
		template string // afterwards; empty: unchanged
	}{
		{why: "get prints every cell; 3 says that one has no image", args: "get T", code: 3, err: "T:6:7: no image: AWSRegion2AMI.eu-west-1.AMI is empty", out: "us-east-1.AMI ami-00000000000000001\neu-west-1.AMI \n"},
		{why: "get of a region prints only its image", args: "get T us-east-1", out: "ami-00000000000000001\n"},
		{why: "get of a placeholder is exit code 3", args: "get T eu-west-1", code: 3, err: "T:6:7: no image: AWSRegion2AMI.eu-west-1.AMI is empty"},
		{why: "set edits in place and prints old -> new", args: "set -verify-amis=false T us-east-1=" + id,
			out:      "us-east-1.AMI: ami-00000000000000001 -> " + id + "\nT\n",
			template: strings.Replace(mapTemplate, "ami-00000000000000001", id, 1)},
		{why: "set without a change reports that", args: "set -verify-amis=false T us-east-1=ami-00000000000000001", out: "T did not change\n"},
		{why: "options may follow the arguments", args: "set T us-east-1.Other=" + id + " -new-attributes Other -verify-amis=false",
			out:      "us-east-1.Other: (none) -> " + id + "\n",
			template: strings.Replace(mapTemplate, "# old\n", "# old\n      Other: "+id+"\n", 1)},
		{why: "set of several is all or nothing", args: "set -verify-amis=false T us-east-1=" + id + " eu-west-1=ami-1", code: 2, err: `got "eu-west-1=ami-1", want REGION=AMI`},
		{why: "a missing required region prevents all changes", args: "set -verify-amis=false -required-regions rows T us-east-1=" + id, code: 1, err: "eu-west-1.AMI (is empty); -required-regions requires it: fill these regions too"},
		{why: "a row that was not set may be an error", args: "set -verify-amis=false -stale-regions fail T us-east-1=" + id, code: 1, err: "eu-west-1; fill them too, or set -stale-regions to keep or remove"},
		{why: "rows that were not set may be removed", args: "set -verify-amis=false -stale-regions remove T us-east-1=" + id,
			template: "Mappings:\n  AWSRegion2AMI:\n    us-east-1:\n      AMI: " + id + " # old\nResources: {}\n"},
		{why: "a manifest: the newest build wins, and the command line overrides it",
			args:     "set -verify-amis=false -manifest DIR/manifest.json T us-east-1=" + id,
			template: strings.Replace(strings.Replace(mapTemplate, "ami-00000000000000001", id, 1), `""`, `"ami-0000000000000000b"`, 1)},
		{why: "diff writes nothing; 3 says that something would change", args: "diff -verify-amis=false T us-east-1=" + id, code: 3, out: "+      AMI: " + id},
		{why: "diff without a change exits with 0", args: "diff -verify-amis=false T us-east-1=ami-00000000000000001"},
		{why: "another map is named", args: "get -mapping Other T", code: 1, err: "it has AWSRegion2AMI: name one of those"},
		{why: "nothing to set", args: "set T", code: 2, err: "expected REGION=AMI, or -manifest"},
		{why: "no verb", args: "T", code: 2, err: "want get, set or diff"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "T")
			for name, text := range map[string]string{"T": mapTemplate, "manifest.json": mapManifest} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var args []string
			for _, a := range strings.Fields(tt.args) {
				if a == "T" {
					a = path
				}
				args = append(args, strings.ReplaceAll(a, "DIR", dir))
			}
			var out, errs bytes.Buffer
			code := run(t, "map", args, streams{out: &out, err: &errs})
			if code != tt.code || !strings.Contains(strings.ReplaceAll(out.String(), path, "T"), tt.out) || !strings.Contains(strings.ReplaceAll(errs.String(), path, "T"), tt.err) {
				t.Errorf("exit %d, want %d\nstdout %s\nwant %s\nstderr %s\nwant %s", code, tt.code, &out, tt.out, &errs, tt.err)
			}
			if tt.out == "" && tt.code == 0 && strings.HasPrefix(tt.args, "diff") && out.Len() > 0 {
				t.Errorf("got a diff without a change: %s", &out)
			}
			want := tt.template
			if want == "" {
				want = mapTemplate
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != want {
				t.Errorf("got template\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestMapCreatesOutputFolder: the folder of -output is created.
func TestMapCreatesOutputFolder(t *testing.T) {
	dir := t.TempDir()
	path, output := filepath.Join(dir, "T"), filepath.Join(dir, "a", "b", "out")
	if err := os.WriteFile(path, []byte(mapTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t, "map", []string{"set", "-verify-amis=false", "-output", output, path, "eu-west-1=ami-0123456789abcdef0"}, streams{out: &out, err: &errs})
	if code != exitOK || !strings.HasSuffix(out.String(), "\n"+output+"\n") {
		t.Errorf("exit %d, %s%s", code, &out, &errs)
	}
	if got, err := os.ReadFile(output); err != nil || !strings.Contains(string(got), "AMI: \"ami-0123456789abcdef0\"") {
		t.Errorf("%v, %s", err, got)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != mapTemplate {
		t.Errorf("%v, got template %s", err, got)
	}
}

// TestMapCreatesNoFolderOnError: the folder of -output is not created for a rejected template.
func TestMapCreatesNoFolderOnError(t *testing.T) {
	dir := t.TempDir()
	path, output := filepath.Join(dir, "T"), filepath.Join(dir, "a", "b", "out")
	if err := os.WriteFile(path, []byte(mapTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t, "map", []string{"set", "-verify-amis=false", "-output", output, path, "eu-west-1.Other=ami-0123456789abcdef0"}, streams{out: &out, err: &errs})
	if _, err := os.Stat(filepath.Join(dir, "a")); code != exitError || !os.IsNotExist(err) {
		t.Errorf("exit %d, %s%s, and the folder: %v", code, &out, &errs, err)
	}
}

// TestMapJSON checks the complete JSON of the three verbs, which other programs read.
func TestMapJSON(t *testing.T) {
	const src = "Mappings:\n  M:\n    us-east-1: {AMI: ami-00000000000000001, Zones: [a]}\n    us-east-2: {AMI: ami-TODO}\n    eu-west-1: {AMI: ami-00000000000000001, AMI: x}\n"
	const good = "Mappings:\n  M:\n    us-east-1: {AMI: ami-00000000000000001}\n"
	for _, tt := range []struct {
		args, src string
		code      int
		out       string
	}{
		{"get -json -mapping M T", src, 1, `{"template":"T","mapping":"M","cells":[` +
			`{"region":"us-east-1","attribute":"AMI","value":"ami-00000000000000001","image":true,"line":3,"column":17},` +
			`{"region":"us-east-1","attribute":"Zones","value":null,"image":false,"line":3,"column":45},` +
			`{"region":"us-east-2","attribute":"AMI","value":"ami-TODO","image":false,"line":4,"column":17},` +
			`{"region":"eu-west-1","attribute":"AMI","value":"ami-00000000000000001","image":false,"line":5,"column":17},` +
			`{"region":"eu-west-1","attribute":"AMI","value":"x","image":false,"line":5,"column":45}],` +
			`"errors":["T:4:17: no image: M.us-east-2.AMI is \"ami-TODO\", a placeholder",` +
			`"T:5:45: M.eu-west-1 has AMI a second time, after line 5: readers may use either one; keep one of them"]}`},
		{"get -json -mapping M T us-east-1 sa-east-1", good, 3, `{"template":"T","mapping":"M","cells":[` +
			`{"region":"us-east-1","attribute":"AMI","value":"ami-00000000000000001","image":true,"line":3,"column":17},` +
			`{"region":"sa-east-1","attribute":"AMI","value":null,"image":false,"line":2,"column":3}],` +
			`"errors":["T:2:3: no image: M.sa-east-1.AMI has no row; did you mean us-east-1?"]}`},
		{"set -json -verify-amis=false -mapping M T us-east-1=ami-00000000000000002 us-east-2=ami-00000000000000002", good, 0, `{"template":"T","mapping":"M","output":"T","written":true,"changes":[` +
			`{"region":"us-east-1","attribute":"AMI","old":"ami-00000000000000001","new":"ami-00000000000000002"},` +
			`{"region":"us-east-2","attribute":"AMI","old":null,"new":"ami-00000000000000002"}],"notes":[]}`},
		{"set -json -verify-amis=false -mapping M T us-east-1=ami-00000000000000001", good, 0, `{"template":"T","mapping":"M","output":"T","written":false,"changes":[],"notes":[]}`},
		{"diff -json -verify-amis=false -mapping M T us-east-1=ami-00000000000000002", good, 3, `{"template":"T","mapping":"M","output":"T","written":false,"changes":[` +
			`{"region":"us-east-1","attribute":"AMI","old":"ami-00000000000000001","new":"ami-00000000000000002"}],"notes":[],` +
			`"diff":"diff T T\n--- T\n+++ T\n@@ -1,3 +1,3 @@\n Mappings:\n   M:\n-    us-east-1: {AMI: ami-00000000000000001}\n+    us-east-1: {AMI: ami-00000000000000002}\n"}`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "T")
			if err := os.WriteFile(path, []byte(tt.src), 0o600); err != nil {
				t.Fatal(err)
			}
			args := strings.Fields(tt.args)
			for i, a := range args {
				if a == "T" {
					args[i] = path
				}
			}
			var out, errs, short bytes.Buffer
			code := run(t, "map", args, streams{out: &out, err: &errs})
			if err := json.Compact(&short, []byte(strings.ReplaceAll(out.String(), path, "T"))); err != nil {
				t.Fatalf("%v: %s", err, &out)
			}
			if code != tt.code || short.String() != tt.out {
				t.Errorf("exit %d, want %d\n%s\nwant\n%s\nstderr %s", code, tt.code, &short, tt.out, &errs)
			}
		})
	}
}

// TestMapKeepsEarlierOutput: a second `map set` into one output keeps the images of the first.
func TestMapKeepsEarlierOutput(t *testing.T) {
	dir := t.TempDir()
	path, output := filepath.Join(dir, "T"), filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("Mappings:\n  AWSRegion2AMI:\n    us-east-1: {A: ami-TODO, B: ami-TODO}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	for _, cell := range []string{"us-east-1.A=ami-00000000000000001", "us-east-1.B=ami-00000000000000002"} {
		if code := run(t, "map", []string{"set", "-verify-amis=false", "-output", output, path, cell}, streams{out: &out, err: &errs}); code != exitOK {
			t.Fatalf("exit %d: %s", code, &errs)
		}
	}
	got, err := os.ReadFile(output)
	if want := "Mappings:\n  AWSRegion2AMI:\n    us-east-1: {A: ami-00000000000000001, B: ami-00000000000000002}\n"; err != nil || string(got) != want {
		t.Errorf("%v, %s\nwant %s", err, got, want)
	}
	if !strings.Contains(errs.String(), "note: "+output+" keeps the images of other builds: A in us-east-1") {
		t.Errorf("got stderr %s", &errs)
	}
}

// TestMapUnreadable: an unreadable value is not reported as missing.
func TestMapUnreadable(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ path, err string }{
		{filepath.Join(dir, "none"), "none: no such file"},
		{filepath.Join(dir, "no folder", "none"), "its folder " + filepath.Join(dir, "no folder") + " does not exist either"},
		{dir, dir + " is a folder; expected a file"},
	} {
		var out, errs bytes.Buffer
		if code := run(t, "map", []string{"get", tt.path}, streams{out: &out, err: &errs}); code != exitError || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("exit %d: %s\nwant %s", code, &errs, tt.err)
		}
	}
}
