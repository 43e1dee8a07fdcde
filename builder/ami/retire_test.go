// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// release builds one more release of the family "miner" and returns its images.
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

// states are the images of a region by name, with their state and mark.
func (w *world) states(region string) map[string]string {
	states := map[string]string{}
	for _, r := range w.aws.Inventory()[region] {
		if r.Kind == "image" {
			states[r.Name] = r.State + " " + r.Tags[tags.State]
		}
	}
	return states
}

// An older release is first disabled, and goes by a build that comes after the
// grace; the new one and another family are not touched.
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
			t.Errorf("%s has %v, want %v", region, got, want)
		}
	}
	w.release(t, "miner-4", keepTwo)
	want := map[string]string{"miner-1": retired, "other-1": good, "miner-2": retired, "miner-3": good, "miner-4": good}
	if got := w.states("us-east-1"); !maps.Equal(got, want) {
		t.Errorf("within the grace: %v, want %v", got, want)
	}
	w.release(t, "miner-5", map[string]any{"keep_releases": 2, "retire_after": "0s"})
	want = map[string]string{"other-1": good, "miner-3": retired, "miner-4": good, "miner-5": good}
	if got := w.states("us-east-1"); !maps.Equal(got, want) {
		t.Errorf("after the grace: %v, want %v\n%s", got, want, w.ui.String())
	}
	for region, resources := range w.aws.Inventory() {
		if len(resources) != 2*len(want) {
			t.Errorf("%s has %d resources, want %d images with a snapshot each", region, len(resources), len(want))
		}
	}
}

func TestWhatIsNamedIsKept(t *testing.T) {
	template := filepath.Join(t.TempDir(), "a.template")
	for _, test := range []struct {
		name  string
		name1 func(*testing.T, *world, string)
		with  map[string]any
		why   string
	}{
		{"by a template", func(t *testing.T, _ *world, id string) {
			if err := os.WriteFile(template, []byte(`{"Mappings": {"AMIs": {"us-east-1": {"AMI": "`+id+`"}}}}`), 0o600); err != nil {
				t.Fatal(err)
			}
		}, map[string]any{"keep_named_in": []string{filepath.Join(filepath.Dir(template), "*.template")}}, "it is named by " + template},
		{"by an instance", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").RunInstances(t.Context(), &ec2.RunInstancesInput{
				ImageId: aws.String(id), InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "it is named by arn:aws:ec2:us-east-1:111122223333:instance/i-"},
		{"by a launch template", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
				LaunchTemplateName: aws.String("x"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String(id)},
			})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "it is named by arn:aws:ec2:us-east-1:111122223333:launch-template/lt-"},
		{"unknown: AWS does not say", func(_ *testing.T, w *world, _ string) {
			w.aws.AddFault(rehearsal.Fault{Action: "DescribeImageReferences", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
		}, nil, "whether anything names it cannot be known"},
		{"unknown: no such template", func(*testing.T, *world, string) {}, map[string]any{"keep_named_in": []string{"absent.template"}}, "what keep_named_in names cannot be known"},
		{"unknown: others may use it", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
				ImageId:          aws.String(id),
				LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: aws.String("444455556666")}}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "it is shared with 444455556666"},
		{"protected", func(t *testing.T, w *world, id string) {
			_, err := w.client("us-east-1").EnableImageDeregistrationProtection(t.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: aws.String(id)})
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "it is protected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			old := w.release(t, "miner-1", nil)
			test.name1(t, w, old["us-east-1"])
			with := map[string]any{"keep_releases": 1, "retire_after": "0s"}
			maps.Copy(with, test.with)
			for _, name := range []string{"miner-2", "miner-3"} { // the second would remove it
				w.release(t, name, with)
				if got := w.states("us-east-1")["miner-1"]; got != "available released" {
					t.Errorf("after %s, miner-1 is %q", name, got)
				}
			}
			if !strings.Contains(w.ui.String(), test.why) {
				t.Errorf("the build does not say %q:\n%s", test.why, w.ui.String())
			}
		})
	}
}

// Where a region lacks the new image, no older one goes anywhere.
func TestNothingIsRetiredBehindAGap(t *testing.T) {
	w := newWorld(t)
	w.release(t, "miner-1", nil)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	w.release(t, "miner-2", map[string]any{"keep_releases": 1, "on_copy_failure": "keep"})
	for _, region := range []string{"eu-central-1", "us-east-1"} {
		if got := w.states(region)["miner-1"]; got != "available released" {
			t.Errorf("%s: miner-1 is %q", region, got)
		}
	}
}

func TestFamily(t *testing.T) {
	for name, want := range map[string]string{
		"ethminer-1732412345":        "ethminer",
		"ethminer-2026-11-24":        "ethminer",
		"ethminer-2026-11-24T02.58Z": "ethminer",
		"miner v1.2.3":               "miner",
		"eth2 miner":                 "eth2 miner",
		"1732412345":                 "1732412345",
		"mining/gpu.20261124":        "mining/gpu",
	} {
		c := Config{}
		c.AMIName = name
		if got := c.family(); got != want {
			t.Errorf("%q is of the family %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(tags.Inherited, tags.Family) {
		t.Error("a copy has no family")
	}
}
