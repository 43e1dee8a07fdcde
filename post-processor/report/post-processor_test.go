// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

const (
	build   = `{"build_id": "b-new", "build_region": "us-east-1", "images": {"us-east-1": "ami-0aaaaaaaaaaaaaaaa"}, "started_at": "2026-11-03T08:30:00Z", "a_later_field": [1]}`
	older   = `{"build_id": "b-old", "build_region": "us-east-1", "started_at": "2026-10-03T08:30:00Z"}`
	removal = "aws ec2 deregister-image --image-id ami-0aaaaaaaaaaaaaaaa"
)

// source is the artifact of a builder.
func source(state map[string]any) *packersdk.MockArtifact {
	return &packersdk.MockArtifact{BuilderIdValue: "ethminer.ami", IdValue: "us-east-1:ami-0aaaaaaaaaaaaaaaa", StateValues: state}
}

func state(more ...any) map[string]any {
	all := map[string]any{"ethminer.build": build, "ethminer.removal": removal}
	for i := 0; i < len(more); i += 2 {
		all[more[i].(string)] = more[i+1]
	}
	return all
}

func run(t *testing.T, p *PostProcessor, from packersdk.Artifact) (out packersdk.Artifact, said string, err error) {
	t.Helper()
	var text bytes.Buffer
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &text, ErrorWriter: &text}
	out, keep, force, err := p.PostProcess(context.Background(), ui, from)
	if !keep || !force {
		t.Errorf("keep=%v forceOverride=%v; without both Packer destroys the images", keep, force)
	}
	return out, text.String(), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func configured(t *testing.T, settings map[string]any) *PostProcessor {
	t.Helper()
	p := new(PostProcessor)
	if err := p.Configure(settings); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPostProcess: the page and the JSON are written with the earlier builds, and the
// artifact passes the source on.
func TestPostProcess(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "reports/b-old.json"), older)
	p := configured(t, map[string]any{
		"output": filepath.Join(dir, "reports/{{ .BuildName }}-{{ .BuildID }}.html"), "compare": []string{filepath.Join(dir, "reports/*.json"), filepath.Join(dir, "none/*.json")},
		"packer_build_name": "rig", "packer_builder_type": "ethminer-ami",
	})
	template := `{"path": "out.template", "diff": "-  AMI: ami-1\n+  AMI: ami-2\n", "published": ["publish it"]}`
	for range 2 { // the second run finds the first one's report
		from := source(state("ethminer.template", template, "generated_data", "x"))
		out, said, err := run(t, p, from)
		if err != nil {
			t.Fatal(err)
		}
		*from = packersdk.MockArtifact{} // Packer closes the connection to the source
		page := filepath.Join(dir, "reports/rig-b-new.html")
		if said != "Wrote "+page+" and "+strings.TrimSuffix(page, "html")+"json\n" || out.String() != "build report: "+page+"\n" || out.BuilderId() != BuilderID {
			t.Errorf("got %q, %s", said, out)
		}
		if out.Id() != "us-east-1:ami-0aaaaaaaaaaaaaaaa" || out.State("generated_data") != "x" || out.State("ethminer.template") != template {
			t.Errorf("got the artifact %q, %v", out.Id(), out.State("generated_data"))
		}
		files := out.Files()
		if len(files) != 2 || files[0] != page {
			t.Fatalf("got the files %q", files)
		}
		shown := html.UnescapeString(read(t, files[0]))
		for _, want := range []string{"b-old", "(this build)", "out.template", "+  AMI: ami-2", "publish it"} {
			if times := strings.Count(shown, want); times != 1 {
				t.Errorf("the page has %d times %q, want 1", times, want)
			}
		}
		var now, then any
		if json.Unmarshal([]byte(read(t, files[1])), &now) != nil || json.Unmarshal([]byte(build), &then) != nil {
			t.Fatal("the report is no JSON")
		}
		if text, _ := json.Marshal(now); !strings.Contains(string(text), `"a_later_field":[1]`) || len(now.(map[string]any)) != len(then.(map[string]any)) {
			t.Errorf("the JSON is not the builder's: %s", text)
		}
	}
}

// TestFailures: a failure keeps the images, tells how to remove them, and leaves the
// earlier report.
func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		why    string
		state  map[string]any
		damage func(t *testing.T, dir string)
		err    string
	}{
		{why: "another builder's artifact", state: map[string]any{"ethminer.removal": removal}, err: "the artifact of ethminer.ami has no report"},
		{why: "a state that is no report", state: state("ethminer.build", "{}"), err: "it has no build_id"},
		{why: "an earlier report was damaged during the build", state: state(), err: "old.json: decoding the build's report: unexpected end",
			damage: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "old.json"), `{"build`) }},
		{why: "the output became a folder", state: state(), err: "report.html is a folder",
			damage: func(t *testing.T, dir string) {
				if err := os.MkdirAll(filepath.Join(dir, "report.html"), 0o755); err != nil {
					t.Fatal(err)
				}
			}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "old.json"), older)
			was := write(t, filepath.Join(dir, "report.json"), older)
			settings := map[string]any{"output": filepath.Join(dir, "report.html"), "compare": []string{filepath.Join(dir, "old.json")}}
			p := configured(t, settings)
			if tt.damage != nil {
				tt.damage(t, dir)
			}
			if err := p.Configure(settings); err != nil { // as Packer does after the build
				t.Errorf("the second Configure returns %v, with which Packer prints no commands", err)
			}
			out, said, err := run(t, p, source(tt.state))
			if err == nil || !strings.HasPrefix(err.Error(), "writing the report: ") || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if out == nil || out.Id() == "" || !strings.Contains(said, "The images are kept. To remove them:\n"+removal) {
				t.Errorf("got %q", said)
			}
			if read(t, was) != older {
				t.Error("the earlier report was overwritten")
			}
		})
	}
}

func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	old, manifest := write(t, filepath.Join(dir, "old.json"), older), write(t, filepath.Join(dir, "manifest.json"), `{"builds": []}`)
	locked := write(t, filepath.Join(dir, "locked.json"), older)
	if err := os.Chmod(locked, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, tt := range []struct {
		why      string
		settings map[string]any
		errs     []string
	}{
		{"nothing is required", nil, nil},
		{"a new folder", map[string]any{"output": in("a/b.html")}, nil},
		{"earlier reports", map[string]any{"output": in("r.html"), "compare": []string{old, in("o*.json"), in("none/*.json")}}, nil},
		{"values that are unknown before the build", map[string]any{"output": "<unknown>", "compare": []string{"<unknown>"}}, nil},
		{"a part that is unknown", map[string]any{"output": "reports/<unknown>.html"}, nil},
		{"every error at once", map[string]any{"output": in("r.pdf"), "compare": []string{in("no.json"), in("m*.json"), in("[")}, "packer_builder_type": "amazon-ebs"},
			[]string{`r.pdf", want a path that ends with .html`, "compare: " + in("no.json") + ": no such file", manifest + ": decoding the build's report: it has no build_id", `got "` + in("[") + `", want a path or a pattern`, "builder: got amazon-ebs, want ethminer-ami"}},
		{"a name that is none", map[string]any{"output": in("{{ .Build }}.html")}, []string{"output: got ", "{{ .BuildID }} or {{ .BuildName }}"}},
		{"a template that is none", map[string]any{"output": in("{{ .html")}, []string{"output"}},
		{"a read-only report", map[string]any{"output": in("locked.html")}, []string{"output: " + locked + " is read-only"}},
		{"an unknown option", map[string]any{"outptu": "x"}, []string{"outptu"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			err := new(PostProcessor).Configure(tt.settings)
			if len(tt.errs) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.errs {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v\nwithout %s", err, want)
				}
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("Configure left files: %v", after)
			}
		})
	}
}
