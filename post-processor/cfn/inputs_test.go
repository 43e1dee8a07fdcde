// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// fakeEC2 has all images, available. Ids that begin with ami-0a are arm64, all
// others x86_64.
type fakeEC2 struct{}

func (fakeEC2) DescribeImages(_ context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	image := ec2types.Image{State: "available", Architecture: "x86_64"}
	if strings.HasPrefix(in.ImageIds[0], "ami-0a") {
		image.Architecture = "arm64"
	}
	if strings.HasPrefix(in.ImageIds[0], "ami-0f") {
		image.State = "failed"
	}
	return &ec2.DescribeImagesOutput{Images: []ec2types.Image{image}}, nil
}

func (fakeEC2) DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error) {
	return nil, errors.New("unexpected call")
}

const manifest = `{"builds": [
 {"name": "rig", "builder_type": "ethminer-ami", "build_time": 2, "artifact_id": "eu-west-1:ami-00000000000000002"},
 {"name": "rig", "builder_type": "ethminer-ami", "build_time": 1, "artifact_id": "eu-west-1:ami-00000000000000001,eu-west-2:ami-00000000000000001"},
 {"name": "armrig", "builder_type": "amazon-ebs", "build_time": 1, "artifact_id": "us-east-1:ami-0a000000000000003"},
 {"name": "box", "builder_type": "docker", "build_time": 3, "artifact_id": "sha256:1"}]}`

// TestInputs checks which cells a build fills. Each row lists the reported
// changes, without the middle of the ids.
func TestInputs(t *testing.T) {
	short := func(s string) string {
		return strings.NewReplacer("00000000000000", "", "bbbbbbbbbbbbbbb", "", "aaaaaaaaaaaaaaa", "").Replace(s)
	}
	both := map[string]string{"x86_64": "AMI", "arm64": "Arm"}
	for _, tt := range []struct {
		why      string
		settings map[string]any
		id       string
		state    map[string]any
		said     []string
		err      string
	}{
		{why: "by architecture, as AWS tells it", settings: map[string]any{"attributes": both, "new_attributes": []string{"Arm"}, "verify_amis": true}, id: "us-east-1:" + amiA,
			said: []string{"us-east-1.Arm: (none) -> ami-0a"}},
		{why: "by architecture, as the build tells it", settings: map[string]any{"attributes": both}, id: "us-east-1:" + amiB,
			state: map[string]any{"ethminer.build": `{"architecture": "x86_64"}`}, said: []string{"us-east-1.AMI: ami-001 -> ami-0b"}},
		{why: "by build, which goes before the architecture", settings: map[string]any{"attributes": map[string]string{"rig": "Rig", "arm64": "Arm"}, "new_attributes": []string{"Rig"}, "verify_amis": true, "packer_build_name": "rig"},
			id: "us-east-1:" + amiB, said: []string{"us-east-1.Rig: (none) -> ami-0b"}},
		{why: "by neither", settings: map[string]any{"attributes": both, "packer_build_name": "rig"}, id: "us-east-1:" + amiB, err: `has no entry for the build "rig" or its architecture ""`},
		{why: "not listed, but attribute is set", settings: map[string]any{"attributes": map[string]string{"x": "X"}, "attribute": "AMI"}, id: "us-east-1:" + amiB,
			said: []string{"us-east-1.AMI: ami-001 -> ami-0b"}},
		{why: "two architectures in one attribute", settings: map[string]any{"verify_amis": true}, id: "us-east-1:" + amiA + ",eu-west-1:" + amiB, err: "assign each architecture its own attribute"},
		{why: "the wrong architecture for the build's attribute", settings: map[string]any{"attributes": map[string]string{"rig": "AMI", "x86_64": "AMI"}, "packer_build_name": "rig", "verify_amis": true},
			id: "us-east-1:" + amiA, err: "its architecture is arm64; attributes assigns AMI to x86_64"},
		{why: "an image that is not available", settings: map[string]any{"verify_amis": true}, id: "us-east-1:ami-0ffffffffffffffff", err: "state: got failed, want available"},
		{why: "a manifest: the newest build of each region, this build before it", settings: map[string]any{"manifest": "DIR/manifest.json", "attributes": map[string]string{"rig": "AMI"}, "packer_build_name": "rig"},
			id: "eu-west-2:" + amiB, said: []string{"eu-west-1.AMI: (none) -> ami-002", "eu-west-2.AMI: (none) -> ami-0b"}},
		{why: "a manifest of two architectures", settings: map[string]any{"manifest": "DIR/manifest.json", "attributes": both, "new_attributes": []string{"Arm"}, "verify_amis": true}, id: "null",
			said: []string{"eu-west-1.AMI: (none) -> ami-002", "eu-west-2.AMI: (none) -> ami-001", "us-east-1.Arm: (none) -> ami-0a3"}},
		{why: "required: build is what the build was to reach", settings: map[string]any{"required_regions": []string{"build"}}, id: "us-east-1:" + amiB,
			state: map[string]any{"ethminer.build": `{"regions": ["us-east-1", "eu-west-3"]}`}, err: "eu-west-3.AMI"},
		{why: "a state that is no build's is as if it were not there", id: "us-east-1:" + amiB, state: map[string]any{"ethminer.build": 7, "ethminer.rehearsal": "no"},
			said: []string{"us-east-1.AMI: ami-001 -> ami-0b"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			s := newScene(t, template, tt.settings)
			s.describer = func(context.Context, string) (verifyami.API, error) { return fakeEC2{}, nil }
			if err := os.WriteFile(filepath.Join(filepath.Dir(s.template), "manifest.json"), []byte(manifest), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s.run(t, source(tt.id, tt.state))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || read(t, s.template) != template {
					t.Errorf("error %v\nwant %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Join(append(tt.said, "Wrote "+s.template), "\n") + "\n"
			if got := short(s.said.String()); got != short(want) {
				t.Errorf("got output\n%s\nwant\n%s", got, short(want))
			}
		})
	}
}

// TestParallelBuilds: concurrent builds of one run write to one file, in place or in an
// output, and no result is lost.
func TestParallelBuilds(t *testing.T) {
	for why, output := range map[string]string{"in place": "", "beside": "out"} {
		t.Run(why, func(t *testing.T) {
			scenes := make([]*scene, 16)
			first := newScene(t, template, nil)
			for i := range scenes {
				settings := map[string]any{"template": first.template}
				if output != "" {
					settings["output"] = filepath.Join(filepath.Dir(first.template), output)
				}
				scenes[i] = newScene(t, template, settings)
			}
			var wg sync.WaitGroup
			for i, s := range scenes {
				wg.Go(func() {
					if _, err := s.run(t, source(fmt.Sprintf("eu-west-%d:%s", i+10, amiA), nil)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			got := read(t, scenes[0].config.Target())
			for i := range scenes {
				if !strings.Contains(got, fmt.Sprintf("    eu-west-%d:\n      AMI: %s\n", i+10, amiA)) {
					t.Errorf("eu-west-%d is lost", i+10)
				}
			}
			if output != "" && read(t, first.template) != template {
				t.Error("the template changed")
			}
		})
	}
}

// TestConfigureAtAnyTime: builds that each fill one attribute keep each other's results,
// whenever Packer configures the post-processors. Its HCL2 wrapper does so at the start
// and again just before each run, in a separate process, possibly after another build
// has written.
func TestConfigureAtAnyTime(t *testing.T) {
	const empty = "Mappings:\n  AWSRegion2AMI:\n    us-east-1: {A: ami-TODO, B: ami-TODO, C: ami-TODO}\nResources: {}\n"
	names := []string{"a", "b", "c"}
	for why, configure := range map[string]func(step int, name string) bool{
		"all at the start":         func(step int, _ string) bool { return step == 0 },
		"each just before it runs": func(step int, name string) bool { return step > 0 && names[step-1] == name },
		"all before each":          func(int, string) bool { return true },
		"all at the start, and each again after it has run": func(step int, name string) bool { return step == 0 || step > 1 && names[step-2] == name },
	} {
		for _, touched := range []time.Duration{0, -time.Hour, time.Hour} {
			t.Run(fmt.Sprint(why, touched), func(t *testing.T) {
				dir := t.TempDir()
				path, output := filepath.Join(dir, "t"), filepath.Join(dir, "out")
				if err := os.WriteFile(path, []byte(empty), 0o600); err != nil {
					t.Fatal(err)
				}
				scenes := make(map[string]*scene)
				step := func(step int) {
					for _, name := range names {
						if !configure(step, name) {
							continue
						}
						s := &scene{PostProcessor: &PostProcessor{}, template: path} // as in a separate process
						err := s.Configure(map[string]any{"template": path, "output": output, "verify_amis": false, "packer_build_name": name,
							"attributes": map[string]string{"a": "A", "b": "B", "c": "C"}, "required_regions": []string{"rows"}})
						if err != nil {
							t.Fatal(err)
						}
						scenes[name] = s
					}
				}
				for run := range 3 {
					want := empty
					step(0)
					for i, name := range names {
						step(i + 1)
						id := fmt.Sprintf("ami-%017x", 16*(run+1)+i)
						if _, err := scenes[name].run(t, source("us-east-1:"+id, nil)); err != nil {
							t.Fatal(err)
						}
						at := time.Now().Add(touched)
						if err := os.Chtimes(output, at, at); err != nil {
							t.Fatal(err)
						}
						want = strings.Replace(want, strings.ToUpper(name)+": ami-TODO", strings.ToUpper(name)+": "+id, 1)
					}
					if got := read(t, output); got != want {
						t.Fatalf("run %d: the output is\n%s\nwant\n%s", run, got, want)
					}
				}
				if read(t, path) != empty {
					t.Error("the template changed")
				}
			})
		}
	}
}

// TestConfigureAttributes: errors in the attributes of a template are reported before the
// build.
func TestConfigureAttributes(t *testing.T) {
	const two = "Mappings:\n  AWSRegion2AMI:\n    us-east-1: {HVM64: " + amiOld + ", PrefixList: pl-1}\n    us-east-2: {HVM64: " + amiOld + ", PrefixList: pl-2}\n"
	path := filepath.Join(t.TempDir(), "t")
	for _, tt := range []struct {
		why      string
		settings map[string]any
		mode     os.FileMode
		err      string
	}{
		{why: "the attribute was forgotten", err: `:2:3: attribute: no row of AWSRegion2AMI has "AMI", the rows have HVM64, PrefixList; set attribute`},
		{why: "a typo", settings: map[string]any{"attribute": "HVM46"}, err: "did you mean HVM64?"},
		{why: "it is there", settings: map[string]any{"attribute": "HVM64"}},
		{why: "it may be new", settings: map[string]any{"attribute": "HVMG2", "new_attributes": []string{"HVMG2"}}},
		{why: "by build", settings: map[string]any{"attributes": map[string]string{"rig": "HVM46"}, "packer_build_name": "rig"}, err: "did you mean HVM64?"},
		{why: "by architecture: one of them fits", settings: map[string]any{"attributes": map[string]string{"x86_64": "HVM64", "arm64": "HVMARM64"}}},
		{why: "by architecture: none fits", settings: map[string]any{"attributes": map[string]string{"x86_64": "Amd", "arm64": "Arm"}}, err: `no row of AWSRegion2AMI has "Arm"`},
		{why: "a name that none can have", settings: map[string]any{"attribute": "HVM64", "new_attributes": []string{"x86_64"}}, err: "new_attributes: attribute"},
		{why: "a region that is none", settings: map[string]any{"attribute": "HVM64", "required_regions": []string{"eu-cental-1"}}, err: `required_regions: got "eu-cental-1", which is not a region; did you mean eu-central-1?`},
		{why: "a template that is read-only", settings: map[string]any{"attribute": "HVM64"}, mode: 0o444, err: "template: " + path + " is read-only"},
		{why: "and is not to be written", settings: map[string]any{"attribute": "HVM64", "output": path + ".out"}, mode: 0o444},
		{why: "a folder", settings: map[string]any{"template": filepath.Dir(path)}, err: "is a folder; expected a file"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			if tt.mode == 0 {
				tt.mode = 0o644
			}
			_ = os.Remove(path)
			if err := os.WriteFile(path, []byte(two), tt.mode); err != nil {
				t.Fatal(err)
			}
			settings := map[string]any{"template": path}
			maps.Copy(settings, tt.settings)
			err := new(PostProcessor).Configure(settings)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v\nwant %s", err, tt.err)
			}
		})
	}
}

// TestNewRow: a new row that lacks attributes of its siblings is reported, and rejected if
// a complete row is required, except for attributes that other builds will fill.
func TestNewRow(t *testing.T) {
	const two = "Mappings:\n  AWSRegion2AMI:\n    us-east-1: {A: " + amiOld + ", B: " + amiOld + "}\nResources: {}\n"
	const added = "    eu-west-1: {A: " + amiA + "}\nResources"
	for _, tt := range []struct {
		why      string
		settings map[string]any
		row      string // the attribute of the new row, A unless set
		said     string
		err      string
	}{
		{why: "told", settings: map[string]any{"attribute": "A"}, said: "Note: AWSRegion2AMI has rows that lack attributes of most other rows: eu-west-1 without B"},
		{why: "a new attribute", settings: map[string]any{"attribute": "C", "new_attributes": []string{"C"}}, row: "C", said: "Note: AWSRegion2AMI: these rows get no C, because no image fills it there: us-east-1;"},
		{why: "refused: rows", settings: map[string]any{"attribute": "A", "required_regions": []string{"rows"}}, err: "eu-west-1 without B; required_regions requires complete rows"},
		{why: "refused: build", settings: map[string]any{"attribute": "A", "required_regions": []string{"build"}}, err: "eu-west-1 without B; required_regions requires complete rows"},
		{why: "another build fills it", settings: map[string]any{"attributes": map[string]string{"a": "A", "b": "B"}, "packer_build_name": "a", "required_regions": []string{"rows"}}, said: "eu-west-1 without B"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			s := newScene(t, two, tt.settings)
			_, err := s.run(t, source("eu-west-1:"+amiA, nil))
			want := two
			if tt.err == "" {
				want = strings.Replace(two, "Resources", added, 1)
			}
			if tt.row != "" {
				want = strings.Replace(want, "eu-west-1: {A:", "eu-west-1: {"+tt.row+":", 1)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || read(t, s.template) != want || !strings.Contains(s.said.String(), tt.said) {
				t.Errorf("got error %v\nwant %s\noutput %s\ntemplate %s", err, tt.err, s.said.String(), read(t, s.template))
			}
		})
	}
}

// TestOldOutput: an output that was not created from the template is rebuilt from it.
func TestOldOutput(t *testing.T) {
	s := newScene(t, template, map[string]any{"output": "DIR/out"})
	if err := os.WriteFile(s.config.Output, []byte("Mappings: {AWSRegion2AMI: {xx-old-1: {AMI: x}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(t, source("us-east-1:"+amiA, nil)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.config.Output); strings.Contains(got, "xx-old-1") || !strings.Contains(got, amiA) {
		t.Error(got)
	}
}

// TestOutputFolder: the folder of an output is created, but not for a dry run.
func TestOutputFolder(t *testing.T) {
	for _, dry := range []bool{true, false} {
		s := newScene(t, template, map[string]any{"output": "DIR/a/b/out", "dry_run": dry})
		if _, err := s.run(t, source("us-east-1:"+amiA, map[string]any{"ethminer.rehearsal": true})); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(s.config.Output); (err == nil) == dry {
			t.Errorf("dry_run = %v: %v", dry, err)
		}
	}
}

func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty := write("good", template), filepath.Join(t.TempDir(), "m.json")
	if err := os.WriteFile(empty, []byte(`{"builds": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why      string
		settings map[string]any
		errs     []string
	}{
		{"only a template", map[string]any{"template": good}, nil},
		{"an unknown path", map[string]any{"template": "<unknown>"}, nil},
		{"unknown names", map[string]any{"template": good, "mapping": "<unknown>", "attribute": "<unknown>"}, nil},
		{"a missing template", map[string]any{"template": filepath.Join(dir, "none")}, []string{`none: no such file`, `expected the CloudFormation template`, "${path.root}"}},
		{"no template", nil, []string{"template: not set"}},
		{"a template without the map: the error lists its maps", map[string]any{"template": good, "mapping": "Other"}, []string{"Mappings has no map Other; it has AWSRegion2AMI"}},
		{"a template with an error", map[string]any{"template": write("bad", "Mappings:\n\t- x\n")}, []string{"bad:2:1: not valid YAML"}},
		{"every error at once", map[string]any{"template": good, "mapping": "a-b", "attribute": "x86_64", "attributes": map[string]string{"rig": "a.b"}, "required_regions": []string{"us_east"},
			"stale_regions": "drop", "launch_accounts": []string{"me"}, "verify_timeout": "-1s", "access_key": "x"},
			[]string{`mapping: map name "a-b"`, `attribute: attribute "x86_64"`, `attributes["rig"]`, `required_regions: got "us_east", want a region`,
				`stale_regions: got "drop", want keep, fail or remove`, `launch_accounts: got "me"`, "verify_timeout: got -1s", "access_key and secret_key"}},
		{"accounts without verify_amis", map[string]any{"template": good, "launch_accounts": []string{"123456789012"}, "verify_amis": false}, []string{"launch_accounts: requires verify_amis"}},
		{"an invalid duration and another error", map[string]any{"template": good, "verify_timeout": "30 min", "stale_regions": "drop"}, []string{`verify_timeout: got "30 min", want a duration such as`, `stale_regions: got "drop"`}},
		{"a future manifest", map[string]any{"template": good, "manifest": filepath.Join(dir, "none.json")}, nil},
		{"a manifest that is not JSON", map[string]any{"template": good, "manifest": good}, []string{"manifest: ", "not a Packer manifest", "delete it if this run writes it"}},
		{"a manifest without images", map[string]any{"template": good, "manifest": empty}, []string{"manifest: ", "no build of the manifest has AMIs; it has no builds"}},
		{"attributes of another build", map[string]any{"template": good, "attributes": map[string]string{"gpu": "AMI", "amr": "AMI"}, "packer_build_name": "arm"},
			[]string{`attributes: got keys amr, gpu, want the build name "arm" or an architecture`, `"amr": did you mean arm`}},
		{"attributes of a misspelled architecture", map[string]any{"template": good, "attributes": map[string]string{"arm65": "AMI"}, "packer_build_name": "x"}, []string{`"arm65": did you mean arm64`}},
		{"attributes of this build and another", map[string]any{"template": good, "attributes": map[string]string{"gpu": "AMI", "rig": "AMI"}, "packer_build_name": "rig"}, nil},
		{"attributes by architecture", map[string]any{"template": good, "attributes": map[string]string{"gpu": "AMI", "arm64": "AMI"}, "packer_build_name": "rig"}, nil},
		{"attributes with a fallback", map[string]any{"template": good, "attribute": "AMI", "attributes": map[string]string{"gpu": "AMI"}, "packer_build_name": "rig"}, nil},
		{"an unknown option", map[string]any{"template": good, "maping": "x"}, []string{"maping"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var p PostProcessor
			err := p.Configure(tt.settings)
			if len(tt.errs) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.errs {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v\nwithout %s", err, want)
				}
			}
			if left, _ := os.ReadDir(dir); len(left) != 2 {
				t.Errorf("Configure left files: %v", left)
			}
		})
	}
}
