// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// release builds an image and returns its IDs by region.
func (w *world) release(t *testing.T, name string, config map[string]any) map[string]string {
	t.Helper()
	with := map[string]any{"ami_name": name}
	maps.Copy(with, config)
	artifact, err := w.build(t, t.Context(), with)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	return reportOf(t, artifact).Images
}

// states returns the images of a region by name, with their state and state tag.
func (w *world) states(region string) map[string]string {
	states := map[string]string{}
	for _, r := range w.aws.Inventory()[region] {
		if r.Kind == "image" {
			states[r.Name] = r.State + " " + r.Tags[tags.State]
		}
	}
	return states
}

// TestKeepReleases: an old release is first disabled, and deleted by a build after the
// grace period. The new release and other families stay unchanged.
func TestKeepReleases(t *testing.T) {
	w := newWorld(t)
	w.release(t, "miner-1", nil)
	w.release(t, "other-1", nil)
	w.release(t, "miner-2", nil)
	keepTwo := map[string]any{"keep_releases": 2, "retire_after": "1h"}
	w.release(t, "miner-3", keepTwo)
	const good, retired = "available released", "disabled retired"
	for _, region := range []string{"eu-central-1", "us-east-1"} {
		want := map[string]string{"miner-1": retired, "other-1": good, "miner-2": good, "miner-3": good}
		if got := w.states(region); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", region, got, want)
		}
	}
	w.release(t, "miner-4", keepTwo)
	want := map[string]string{"miner-1": retired, "other-1": good, "miner-2": retired, "miner-3": good, "miner-4": good}
	if got := w.states("us-east-1"); !maps.Equal(got, want) {
		t.Errorf("within the grace period: got %v, want %v", got, want)
	}
	w.release(t, "miner-5", map[string]any{"keep_releases": 2, "retire_after": "0s"})
	want = map[string]string{"other-1": good, "miner-3": retired, "miner-4": good, "miner-5": good}
	if got := w.states("us-east-1"); !maps.Equal(got, want) {
		t.Errorf("after the grace period: got %v, want %v\n%s", got, want, w.ui.String())
	}
	for region, resources := range w.aws.Inventory() {
		if len(resources) != 2*len(want) {
			t.Errorf("%s: got %d resources, want %d images with a snapshot each", region, len(resources), len(want))
		}
	}
}

func TestReferencedImageIsKept(t *testing.T) {
	template := filepath.Join(t.TempDir(), "a.template")
	for _, test := range []struct {
		name  string
		refer func(*testing.T, *world, string)
		with  map[string]any
		why   string
	}{
		{"by a template", func(t *testing.T, _ *world, id string) {
			if err := os.WriteFile(template, []byte(`{"Mappings": {"AMIs": {"us-east-1": {"AMI": "`+id+`"}}}}`), 0o600); err != nil {
				t.Fatal(err)
			}
		}, map[string]any{"keep_named_in": []string{filepath.Join(filepath.Dir(template), "*.template")}}, "its id is in " + template},
		{"by an instance", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").RunInstances(t.Context(), &ec2.RunInstancesInput{
				ImageId: aws.String(id), InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "in use by arn:aws:ec2:us-east-1:111122223333:instance/i-"},
		{"by a launch template", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
				LaunchTemplateName: aws.String("x"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String(id)},
			})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "in use by arn:aws:ec2:us-east-1:111122223333:launch-template/lt-"},
		{"unknown: a look-up is denied", func(_ *testing.T, w *world, _ string) {
			w.aws.AddFault(rehearsal.Fault{Action: "DescribeImageReferences", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
		}, nil, "could not check whether it is in use"},
		{"unknown: no such template", func(*testing.T, *world, string) {}, map[string]any{"keep_named_in": []string{hclvalue.Unknown}}, "could not read keep_named_in"},
		{"unknown: other accounts may use it", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
				ImageId:          aws.String(id),
				LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: aws.String("444455556666")}}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "shared with 444455556666"},
		{"protected", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").EnableImageDeregistrationProtection(t.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: aws.String(id)})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "deregistration protection is enabled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			old := w.release(t, "miner-1", nil)
			test.refer(t, w, old["us-east-1"])
			with := map[string]any{"keep_releases": 1, "retire_after": "0s"}
			maps.Copy(with, test.with)
			for _, name := range []string{"miner-2", "miner-3"} { // the second would delete it
				w.release(t, name, with)
				if got := w.states("us-east-1")["miner-1"]; got != "available released" {
					t.Errorf("after %s: got miner-1 %q", name, got)
				}
			}
			if !strings.Contains(w.ui.String(), test.why) {
				t.Errorf("got output without %q:\n%s", test.why, w.ui.String())
			}
		})
	}
}

// TestIncompleteReleaseRetiresNothing: if a region lacks the new image, no region retires an
// old one.
func TestIncompleteReleaseRetiresNothing(t *testing.T) {
	w := newWorld(t)
	w.release(t, "miner-1", nil)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	w.release(t, "miner-2", map[string]any{"keep_releases": 1, "on_copy_failure": "keep"})
	for _, region := range []string{"eu-central-1", "us-east-1"} {
		if got := w.states(region)["miner-1"]; got != "available released" {
			t.Errorf("%s: got miner-1 %q", region, got)
		}
	}
}
