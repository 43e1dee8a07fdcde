// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// region is an EC2 whose images are all available, of the architecture that
// their id begins with: ami-0a... is arm64, all others x86_64.
type region struct{}

func (region) DescribeImages(_ context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	image := ec2types.Image{State: "available", Architecture: "x86_64"}
	if strings.HasPrefix(in.ImageIds[0], "ami-0a") {
		image.Architecture = "arm64"
	}
	if strings.HasPrefix(in.ImageIds[0], "ami-0f") {
		image.State = "failed"
	}
	return &ec2.DescribeImagesOutput{Images: []ec2types.Image{image}}, nil
}

func (region) DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error) {
	return nil, errors.New("not asked for")
}

const manifest = `{"builds": [
 {"name": "rig", "builder_type": "ethminer-ami", "build_time": 2, "artifact_id": "eu-west-1:ami-00000000000000002"},
 {"name": "rig", "builder_type": "ethminer-ami", "build_time": 1, "artifact_id": "eu-west-1:ami-00000000000000001,eu-west-2:ami-00000000000000001"},
 {"name": "armrig", "builder_type": "amazon-ebs", "build_time": 1, "artifact_id": "us-east-1:ami-0a000000000000003"},
 {"name": "box", "builder_type": "docker", "build_time": 3, "artifact_id": "sha256:1"}]}`

// TestInputs: which cells a build fills. Each row lists the changes that are
// said, without the ids' middle.
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
		{why: "by architecture, as AWS tells it", settings: map[string]any{"attributes": both, "verify_amis": true}, id: "us-east-1:" + amiA,
			said: []string{"us-east-1.Arm: (none) -> ami-0a"}},
		{why: "by architecture, as the build tells it", settings: map[string]any{"attributes": both}, id: "us-east-1:" + amiB,
			state: map[string]any{"ethminer.build": `{"architecture": "x86_64"}`}, said: []string{"us-east-1.AMI: ami-001 -> ami-0b"}},
		{why: "by build, which goes before the architecture", settings: map[string]any{"attributes": map[string]string{"rig": "Rig", "arm64": "Arm"}, "verify_amis": true, "packer_build_name": "rig"},
			id: "us-east-1:" + amiB, said: []string{"us-east-1.Rig: (none) -> ami-0b"}},
		{why: "by neither", settings: map[string]any{"attributes": both, "packer_build_name": "rig"}, id: "us-east-1:" + amiB, err: `names neither the build "rig" nor its architecture ""`},
		{why: "not listed, but attribute is set", settings: map[string]any{"attributes": map[string]string{"x": "X"}, "attribute": "AMI"}, id: "us-east-1:" + amiB,
			said: []string{"us-east-1.AMI: ami-001 -> ami-0b"}},
		{why: "two architectures in one attribute", settings: map[string]any{"verify_amis": true}, id: "us-east-1:" + amiA + ",eu-west-1:" + amiB, err: "give each architecture its attribute"},
		{why: "the wrong architecture for the build's attribute", settings: map[string]any{"attributes": map[string]string{"rig": "AMI", "x86_64": "AMI"}, "packer_build_name": "rig", "verify_amis": true},
			id: "us-east-1:" + amiA, err: "its architecture is arm64; attributes has AMI for x86_64"},
		{why: "an image that is not available", settings: map[string]any{"verify_amis": true}, id: "us-east-1:ami-0ffffffffffffffff", err: "its state is failed; expected available"},
		{why: "a manifest: the newest build of each region, this build before it", settings: map[string]any{"manifest": "DIR/manifest.json", "attributes": map[string]string{"rig": "AMI"}, "packer_build_name": "rig"},
			id: "eu-west-2:" + amiB, said: []string{"eu-west-1.AMI: (none) -> ami-002", "eu-west-2.AMI: (none) -> ami-0b"}},
		{why: "a manifest of two architectures", settings: map[string]any{"manifest": "DIR/manifest.json", "attributes": both, "verify_amis": true}, id: "null",
			said: []string{"eu-west-1.AMI: (none) -> ami-002", "eu-west-2.AMI: (none) -> ami-001", "us-east-1.Arm: (none) -> ami-0a3"}},
		{why: "required: build is what the build was to reach", settings: map[string]any{"required_regions": []string{"build"}}, id: "us-east-1:" + amiB,
			state: map[string]any{"ethminer.build": `{"regions": ["us-east-1", "eu-west-3"]}`}, err: "eu-west-3.AMI"},
		{why: "a state that is no build's is as if it were not there", id: "us-east-1:" + amiB, state: map[string]any{"ethminer.build": 7, "ethminer.rehearsal": "no"},
			said: []string{"us-east-1.AMI: ami-001 -> ami-0b"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			s := newScene(t, template, tt.settings)
			s.describer = func(context.Context, string) (verifyami.API, error) { return region{}, nil }
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
			want := strings.Join(append(tt.said, s.template), "\n") + "\n"
			if got := short(s.said.String()); got != short(want) {
				t.Errorf("said\n%s\nwant\n%s", got, short(want))
			}
		})
	}
}

// Builds of one run fill one file, in place or beside the template: all land.
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
			got := read(t, scenes[0].config.target())
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

// An output of an earlier run is written anew from the template.
func TestOldOutput(t *testing.T) {
	s := newScene(t, template, map[string]any{"output": "DIR/out"})
	if err := os.WriteFile(s.config.Output, []byte("Mappings: {AWSRegion2AMI: {xx-old-1: {AMI: x}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := s.configured.AddDate(0, 0, -1)
	if err := os.Chtimes(s.config.Output, long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(t, source("us-east-1:"+amiA, nil)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.config.Output); strings.Contains(got, "xx-old-1") || !strings.Contains(got, amiA) {
		t.Error(got)
	}
}

// The folder of an output is made, but not for a dry run.
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
	good := write("good", template)
	for _, tt := range []struct {
		why      string
		settings map[string]any
		errs     []string
	}{
		{"the least", map[string]any{"template": good}, nil},
		{"a path that is known only later", map[string]any{"template": "<unknown>"}, nil},
		{"names that are known only later", map[string]any{"template": good, "mapping": "<unknown>", "attribute": "<unknown>"}, nil},
		{"a template that is not there", map[string]any{"template": filepath.Join(dir, "none")}, []string{`none": no such file; expected the CloudFormation template`, "${path.root}"}},
		{"no template", nil, []string{"template: not set"}},
		{"a template without the map names those it has", map[string]any{"template": good, "mapping": "Other"}, []string{"Mappings has no map Other; it has AWSRegion2AMI"}},
		{"a template with an error", map[string]any{"template": write("bad", "Mappings:\n\t- x\n")}, []string{"bad:2: not valid YAML"}},
		{"every error at once", map[string]any{"template": good, "mapping": "a-b", "attribute": "x86_64", "attributes": map[string]string{"rig": "a.b"}, "required_regions": []string{"us_east"},
			"stale_regions": "drop", "launch_accounts": []string{"me"}, "verify_timeout": "-1s", "access_key": "x"},
			[]string{`mapping: map name "a-b"`, `attribute: attribute "x86_64"`, `attributes["rig"]`, `required_regions: "us_east"; expected a region`,
				`stale_regions: "drop"; expected keep, fail or remove`, `launch_accounts: "me"`, "verify_timeout: -1s", "access_key and secret_key"}},
		{"accounts without the check of them", map[string]any{"template": good, "launch_accounts": []string{"123456789012"}, "verify_amis": false}, []string{"launch_accounts: is checked by verify_amis"}},
		{"an option that there is not", map[string]any{"template": good, "maping": "x"}, []string{"maping"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var p PostProcessor
			err := p.Configure(tt.settings)
			if len(tt.errs) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.errs {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v\nlacks %s", err, want)
				}
			}
			if left, _ := os.ReadDir(dir); len(left) != 2 {
				t.Errorf("Configure left files: %v", left)
			}
		})
	}
}
