// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

const (
	amiOld = "ami-00000000000000001"
	amiA   = "ami-0aaaaaaaaaaaaaaaa"
	amiB   = "ami-0bbbbbbbbbbbbbbbb"
)

const template = `# a comment
Mappings:
  AWSRegion2AMI:
    us-east-1:
      AMI: ami-00000000000000001 # old
    cn-north-1:
      AMI: ami-00000000000000001
Resources: {}
`

// scene is a folder with a template, a configured post-processor, and its
// messages.
type scene struct {
	*PostProcessor
	template string
	said     bytes.Buffer
}

func newScene(t *testing.T, src string, settings map[string]any) *scene {
	t.Helper()
	dir := t.TempDir()
	s := &scene{PostProcessor: &PostProcessor{}, template: filepath.Join(dir, "stack.template")}
	if err := os.WriteFile(s.template, []byte(src), 0o640); err != nil {
		t.Fatal(err)
	}
	conf := map[string]any{"template": s.template, "verify_amis": false}
	for k, v := range settings {
		if text, ok := v.(string); ok {
			v = strings.ReplaceAll(text, "DIR", dir)
		}
		conf[k] = v
	}
	if err := s.Configure(conf); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) run(t *testing.T, a packersdk.Artifact) (packersdk.Artifact, error) {
	t.Helper()
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &s.said, ErrorWriter: &s.said}
	out, keep, force, err := s.PostProcess(context.Background(), ui, a)
	if !keep || !force {
		t.Errorf("keep=%v forceOverride=%v; without both Packer destroys the images", keep, force)
	}
	return out, err
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func source(id string, state map[string]any) *packersdk.MockArtifact {
	return &packersdk.MockArtifact{BuilderIdValue: "mitchellh.amazonebs", IdValue: id, StateValues: state}
}

func TestPostProcess(t *testing.T) {
	const both = "us-east-1:" + amiA + ",eu-west-1:" + amiB
	filled := strings.Replace(template, "AMI: "+amiOld+" # old", "AMI: "+amiA+" # old", 1)
	filled = strings.Replace(filled, "Resources", "    eu-west-1:\n      AMI: "+amiB+"\nResources", 1)
	rehearsal := map[string]any{"ethminer.rehearsal": true}
	for _, tt := range []struct {
		why      string
		settings map[string]any
		artifact packersdk.Artifact
		err      string // part of it
		template string // content afterwards; empty: unchanged
		output   string // content of DIR/out; empty: no file
		said     string
	}{
		{why: "in place: the row there is set, the missing one added, all else stays",
			artifact: source(both, nil), template: filled,
			said: "us-east-1.AMI: " + amiOld + " -> " + amiA + "\n"},
		{why: "nothing to change",
			artifact: source("us-east-1:"+amiOld, nil), said: "stack.template did not change\n"},
		{why: "to another file: the template stays",
			settings: map[string]any{"output": "DIR/out"},
			artifact: source(both, nil), output: filled},
		{why: "dry_run writes nothing and prints a diff",
			settings: map[string]any{"dry_run": true},
			artifact: source(both, nil), said: "+      AMI: " + amiB},
		{why: "an artifact without AMIs names its builder",
			artifact: source("nothing", nil), err: "mitchellh.amazonebs"},
		{why: "a rehearsal never edits in place",
			artifact: source(both, rehearsal), err: "set output to another file"},
		{why: "a rehearsal writes another file",
			settings: map[string]any{"output": "DIR/out"},
			artifact: source(both, rehearsal), output: filled},
		{why: "the completeness gate",
			settings: map[string]any{"required_regions": []string{"us-east-1", "eu-west-2"}},
			artifact: source(both, nil), err: "eu-west-2.AMI"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			s := newScene(t, template, tt.settings)
			out, err := s.run(t, tt.artifact)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			want := tt.template
			if want == "" {
				want = template
			}
			if got := read(t, s.template); got != want {
				t.Errorf("got template\n%s\nwant\n%s", got, want)
			}
			output := filepath.Join(filepath.Dir(s.template), "out")
			if tt.output == "" {
				if _, err := os.Stat(output); err == nil {
					t.Error("an output was written")
				}
			} else if got := read(t, output); got != tt.output {
				t.Errorf("got output file\n%s\nwant\n%s", got, tt.output)
			}
			if !strings.Contains(s.said.String(), tt.said) {
				t.Errorf("got output\n%s\nwant\n%s", s.said.String(), tt.said)
			}
			if err != nil {
				return
			}
			if out.Id() != tt.artifact.Id() {
				t.Errorf("got artifact id %q, want the source's", out.Id())
			}
			changed := tt.template != "" || tt.output != "" || tt.settings["dry_run"] == true
			result, ok := artifact.DecodeTemplate(out.State("ethminer.template"))
			if !ok || result.Path != s.config.Target() || result.DryRun != (tt.settings["dry_run"] == true) || result.Published != nil ||
				strings.Contains(result.Diff, "\n+      AMI: "+amiB+"\n") != changed || (result.Diff != "") != changed {
				t.Errorf("got the state %v", out.State("ethminer.template"))
			}
		})
	}
}

// TestPassOn: the artifact has the source's id and state also after PostProcess, when
// Packer has closed the connection to the source.
func TestPassOn(t *testing.T) {
	from := source("us-east-1:"+amiA, map[string]any{"ethminer.build": "{}", "generated_data": "x", "ethminer.removal": "rm"})
	out, err := newScene(t, template, nil).run(t, from)
	if err != nil {
		t.Fatal(err)
	}
	*from = packersdk.MockArtifact{}
	if out.Id() != "us-east-1:"+amiA || out.State("ethminer.build") != "{}" || out.State("generated_data") != "x" || out.State("ethminer.removal") != "rm" || out.State("other") != nil {
		t.Errorf("got %q, %v, %v", out.Id(), out.State("ethminer.build"), out.State("generated_data"))
	}
}

// TestFailurePrintsCommands: after a failure, the output has the commands to continue without another
// build.
func TestFailurePrintsCommands(t *testing.T) {
	const both = "us-east-1:" + amiA + ",eu-west-1:" + amiB
	const pairs = " eu-west-1=" + amiB + " us-east-1=" + amiA
	const removal = "The images are kept. To remove them:\naws ec2 deregister-image"
	strict := []string{"eu-west-9"}
	for _, tt := range []struct {
		why      string
		settings map[string]any
		id       string
		state    map[string]any
		line     string // after `packer-plugin-ethminer map set `, TEMPLATE and DIR stand for the paths; empty: none
	}{
		{why: "in place", id: both, line: "-mapping AWSRegion2AMI -attribute AMI -required-regions eu-west-9 -verify-amis=false TEMPLATE" + pairs},
		{why: "to another file, by build", id: both, settings: map[string]any{"output": "DIR/it's out", "attributes": map[string]string{"rig": "Rig"}, "new_attributes": []string{"Rig"}, "packer_build_name": "rig"},
			line: "-mapping AWSRegion2AMI -attribute Rig -new-attributes Rig -required-regions eu-west-9 -verify-amis=false -output 'DIR/it'\\''s out' TEMPLATE" + pairs},
		{why: "no attribute is known", id: both, settings: map[string]any{"attributes": map[string]string{"other": "Rig"}, "new_attributes": []string{"Rig"}}, line: "-attribute ATTRIBUTE -required-regions eu-west-9 -verify-amis=false TEMPLATE" + pairs},
		{why: "stale rows fail", id: both, settings: map[string]any{"stale_regions": "fail"}, line: "-required-regions eu-west-9 -stale-regions fail -verify-amis=false TEMPLATE" + pairs},
		{why: "no images", id: "box"},
		{why: "a dry run", id: both, settings: map[string]any{"dry_run": true}},
		{why: "a rehearsal", id: both, settings: map[string]any{"output": "DIR/out"}, state: map[string]any{"ethminer.rehearsal": true}, line: "-attribute AMI -required-regions eu-west-9 -verify-amis=false -output DIR/out TEMPLATE" + pairs},
		{why: "a rehearsal in place", id: both, state: map[string]any{"ethminer.rehearsal": true}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			settings := map[string]any{"required_regions": strict}
			maps.Copy(settings, tt.settings)
			state := map[string]any{"ethminer.removal": "aws ec2 deregister-image"}
			maps.Copy(state, tt.state)
			s := newScene(t, template, settings)
			if _, err := s.run(t, source(tt.id, state)); err == nil {
				t.Fatal("got no error")
			}
			said := s.said.String()
			if !strings.Contains(said, removal) {
				t.Errorf("got output without the removal commands:\n%s", said)
			}
			want := strings.NewReplacer("TEMPLATE", s.template, "DIR", filepath.Dir(s.template)).Replace(tt.line)
			if tt.line == "" && strings.Contains(said, "map set") || !strings.Contains(said, want) {
				t.Errorf("got output\n%s\nwant %q", said, want)
			}
			if strings.Index(said, "map set") > strings.Index(said, removal) {
				t.Errorf("got the removal commands before the remedy:\n%s", said)
			}
		})
	}
}

// TestLateConfigure: an error of the second Configure, which Packer calls when there are
// images, is reported with the commands that use and remove the images.
func TestLateConfigure(t *testing.T) {
	s := newScene(t, template, nil)
	if err := os.WriteFile(s.template, []byte("Resources: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(map[string]any{"template": s.template, "verify_amis": false}); err != nil {
		t.Errorf("the second Configure returns %v, with which Packer prints no commands", err)
	}
	_, err := s.run(t, source("us-east-1:"+amiA, map[string]any{"ethminer.removal": "aws ec2 deregister-image"}))
	if err == nil || !strings.Contains(err.Error(), "Mappings") {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"map set -mapping AWSRegion2AMI -attribute AMI -verify-amis=false " + s.template, "aws ec2 deregister-image"} {
		if !strings.Contains(s.said.String(), want) {
			t.Errorf("got output without %q:\n%s", want, s.said.String())
		}
	}
	if read(t, s.template) != "Resources: {}\n" {
		t.Error("the template changed")
	}
	if new(PostProcessor).Configure(map[string]any{"template": s.template}) == nil {
		t.Error("the first Configure accepts the template")
	}
}

// TestRehearsalLinks: a link to the template counts as the template.
func TestRehearsalLinks(t *testing.T) {
	for why, link := range map[string]func(old, new string) error{"symlink": os.Symlink, "hard link": os.Link} {
		t.Run(why, func(t *testing.T) {
			s := newScene(t, template, map[string]any{"output": "DIR/out"})
			if err := link(s.template, s.config.Output); err != nil {
				t.Fatal(err)
			}
			_, err := s.run(t, source("us-east-1:"+amiA, map[string]any{"ethminer.rehearsal": "true"}))
			if err == nil || !strings.Contains(err.Error(), "rehearsal never edits") {
				t.Errorf("got error %v", err)
			}
			if got := read(t, s.template); got != template {
				t.Error("the template changed")
			}
		})
	}
}
