// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"context"
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
		out, err string // parts
		template string // afterwards; empty: unchanged
	}{
		{why: "get prints every cell", args: "get T", out: "us-east-1.AMI ami-00000000000000001\neu-west-1.AMI \n"},
		{why: "get of a region prints its image alone", args: "get T us-east-1", out: "ami-00000000000000001\n"},
		{why: "get of a placeholder is exit code 3", args: "get T eu-west-1", code: 3, err: "T:2:3: AWSRegion2AMI has no image in eu-west-1.AMI"},
		{why: "set edits in place and prints old -> new", args: "set -verify=false T us-east-1=" + id,
			out:      "us-east-1.AMI: ami-00000000000000001 -> " + id + "\nT\n",
			template: strings.Replace(mapTemplate, "ami-00000000000000001", id, 1)},
		{why: "set of what is so already says that", args: "set -verify=false T us-east-1=ami-00000000000000001", out: "T did not change\n"},
		{why: "options may stand behind", args: "set T us-east-1.Other=" + id + " -verify=false",
			out:      "us-east-1.Other: (none) -> " + id + "\n",
			template: strings.Replace(mapTemplate, "# old\n", "# old\n      Other: "+id+"\n", 1)},
		{why: "set of several is all or nothing", args: "set -verify=false T us-east-1=" + id + " eu-west-1=ami-1", code: 2, err: `"eu-west-1=ami-1"; expected REGION=AMI`},
		{why: "a region that is required and missing stops all", args: "set -verify=false -required rows T us-east-1=" + id, code: 1, err: "eu-west-1.AMI; -required demands it: set these regions too"},
		{why: "a row that was not set may be an error", args: "set -verify=false -stale fail T us-east-1=" + id, code: 1, err: "eu-west-1; set them too, or set -stale to keep or remove"},
		{why: "rows that were not set may be removed", args: "set -verify=false -stale remove T us-east-1=" + id,
			template: "Mappings:\n  AWSRegion2AMI:\n    us-east-1:\n      AMI: " + id + " # old\nResources: {}\n"},
		{why: "a manifest: the newest build wins, the command line goes before it",
			args:     "set -verify=false -manifest DIR/manifest.json T us-east-1=" + id,
			template: strings.Replace(strings.Replace(mapTemplate, "ami-00000000000000001", id, 1), `""`, `"ami-0000000000000000b"`, 1)},
		{why: "diff writes nothing; 3 says that something would change", args: "diff -verify=false T us-east-1=" + id, code: 3, out: "+      AMI: " + id},
		{why: "diff of what is so already is 0", args: "diff -verify=false T us-east-1=ami-00000000000000001"},
		{why: "another map is named", args: "get -mapping Other T", code: 1, err: "it has AWSRegion2AMI: set -mapping to"},
		{why: "nothing to set", args: "set T", code: 2, err: "expected REGION=AMI, or -manifest"},
		{why: "no verb", args: "T", code: 2, err: "Exit codes"},
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
			code := runMap(context.Background(), args, streams{out: &out, err: &errs})
			if code != tt.code || !strings.Contains(strings.ReplaceAll(out.String(), path, "T"), tt.out) || !strings.Contains(strings.ReplaceAll(errs.String(), path, "T"), tt.err) {
				t.Errorf("exit %d, want %d\nstdout %s\nwant %s\nstderr %s\nwant %s", code, tt.code, &out, tt.out, &errs, tt.err)
			}
			if tt.out == "" && tt.code == 0 && strings.HasPrefix(tt.args, "diff") && out.Len() > 0 {
				t.Errorf("a diff of nothing: %s", &out)
			}
			want := tt.template
			if want == "" {
				want = mapTemplate
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != want {
				t.Errorf("template is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The folder of -output is made.
func TestMapMakesTheFolder(t *testing.T) {
	dir := t.TempDir()
	path, output := filepath.Join(dir, "T"), filepath.Join(dir, "a", "b", "out")
	if err := os.WriteFile(path, []byte(mapTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := runMap(t.Context(), []string{"set", "-verify=false", "-output", output, path, "eu-west-1=ami-0123456789abcdef0"}, streams{out: &out, err: &errs})
	if code != exitOK || !strings.HasSuffix(out.String(), "\n"+output+"\n") {
		t.Errorf("exit %d, %s%s", code, &out, &errs)
	}
	if got, err := os.ReadFile(output); err != nil || !strings.Contains(string(got), "AMI: \"ami-0123456789abcdef0\"") {
		t.Errorf("%v, %s", err, got)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != mapTemplate {
		t.Errorf("%v, the template is %s", err, got)
	}
}
