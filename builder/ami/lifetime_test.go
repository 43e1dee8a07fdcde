// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// parameters records the parameters of the calls that it forwards, by action.
type parameters struct {
	next http.RoundTripper
	tell func(action string)

	mu   sync.Mutex
	sent map[string][]url.Values
}

func (w *world) record(tell func(action string)) *parameters {
	r := &parameters{next: w, tell: tell, sent: map[string][]url.Values{}}
	w.transport = r
	return r
}

func (r *parameters) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	params, _ := url.ParseQuery(string(body))
	action := params.Get("Action")
	if params.Get("DryRun") == "true" {
		return r.next.RoundTrip(q)
	}
	r.mu.Lock()
	r.sent[action] = append(r.sent[action], params)
	r.mu.Unlock()
	if r.tell != nil {
		r.tell(action)
	}
	return r.next.RoundTrip(q)
}

func TestLaunchArmsAutoTermination(t *testing.T) {
	script := "#!/bin/sh\necho mine\n"
	for name, test := range map[string]struct {
		config         map[string]any
		data, behavior string // part of the user data; shutdown behavior
		without        string
		said           string
	}{
		"no user data":                  {nil, "#cloud-boothook\n#!/bin/sh\n", "terminate", "Content-Type", ""},
		"a script":                      {map[string]any{"user_data": script}, "\n" + script, "terminate", "\x00", ""},
		"a script in base64":            {map[string]any{"user_data": base64.StdEncoding.EncodeToString([]byte(script))}, "\n" + script, "terminate", "\x00", ""},
		"max_build_time sets the limit": {map[string]any{"max_build_time": "90m"}, "limit=5400\n", "terminate", "\x00", ""},
		"a spot instance":               {map[string]any{"spot_price": "auto", "availability_zone": "eu-central-1a"}, "limit=21600\n", "terminate", "\x00", ""},
		"a fleet":                       {map[string]any{"spot_price": "auto"}, "limit=21600\n", "terminate", "\x00", ""},
		"disabled":                      {map[string]any{"max_build_time": "0", "user_data": script}, script, "stop", "boothook", ""},
		"Ignition":                      {map[string]any{"user_data": `{"ignition":{}}`}, `{"ignition":{}}`, "stop", "boothook", "Auto-termination not available (max_build_time): user_data is not in a cloud-init format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.record(nil)
			if _, err := w.build(t, t.Context(), test.config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			launch := func(parameter string) string {
				if templates := r.sent["CreateLaunchTemplate"]; len(templates) > 0 {
					return templates[0].Get("LaunchTemplateData." + parameter)
				}
				return r.sent["RunInstances"][0].Get(parameter)
			}
			data, err := base64.StdEncoding.DecodeString(launch("UserData"))
			if err != nil || !strings.Contains(string(data), test.data) || strings.Contains(string(data), test.without) {
				t.Errorf("got user data %q, %v", data, err)
			}
			if got := launch("InstanceInitiatedShutdownBehavior"); got != test.behavior {
				t.Errorf("got shutdown behavior %q, want %q", got, test.behavior)
			}
			if !strings.Contains(w.ui.String(), test.said) {
				t.Errorf("got output without %q:\n%s", test.said, w.ui.String())
			}
			// Instances of the image must not inherit the terminate behavior.
			var back []string
			for _, p := range r.sent["ModifyInstanceAttribute"] {
				back = append(back, p.Get("InstanceInitiatedShutdownBehavior.Value"))
			}
			if want := test.behavior == "terminate" && test.config["spot_price"] == nil; want != (len(back) == 1 && back[0] == "stop") {
				t.Errorf("got shutdown behavior set to %q before the image", back)
			}
		})
	}
}

// TestResourcesHaveExpiryTags: at every moment of a build, each resource has tags with its
// build ID and expiry, and each image and snapshot also a state.
func TestResourcesHaveExpiryTags(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"on-demand":            nil,
		"spot":                 {"spot_price": "auto"},
		"with the user's tags": {"run_tags": map[string]string{"Name": "x"}, "run_volume_tags": map[string]string{"Name": "y"}, "skip_ami_run_tags": true, "max_build_time": "2h"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			begin := time.Now()
			kinds := map[string]int{}
			w.record(func(action string) {
				for region, list := range w.aws.Inventory() {
					for _, res := range list {
						kinds[res.Kind]++
						at, err := tags.Time(res.Tags[tags.Expires])
						if err != nil || at.Before(begin.Add(2*time.Hour)) || res.Tags[tags.BuildID] == "" {
							t.Errorf("before %s: %s %s in %s: got tags %v, want build ID and expiry", action, res.Kind, res.ID, region, res.Tags)
						}
						if (res.Kind == "image" || res.Kind == "snapshot") && res.Tags[tags.State] == "" {
							t.Errorf("before %s: %s %s in %s: got tags %v, want a state", action, res.Kind, res.ID, region, res.Tags)
						}
					}
				}
			})
			raw := map[string]any{"temporary_iam_instance_profile_policy_document": nil, "copy_parallelism": 1}
			maps.Copy(raw, config)
			if _, err := w.build(t, t.Context(), raw); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			for _, kind := range []string{"instance", "volume", "key-pair", "security-group", "image", "snapshot"} {
				if kinds[kind] == 0 {
					t.Errorf("got no %s during the build", kind)
				}
			}
		})
	}
}

// TestLeftoverInstanceIsReported: a build reports the leftover instance of a dead build, and no
// other instance.
func TestLeftoverInstanceIsReported(t *testing.T) {
	w := newWorld(t)
	client := w.client("eu-central-1")
	launch := func(tagged map[string]string) string {
		t.Helper()
		image, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})
		if err != nil {
			t.Fatal(err)
		}
		source := ""
		for _, i := range image.Images {
			if i.Architecture == types.ArchitectureValuesX8664 {
				source = aws.ToString(i.ImageId)
			}
		}
		var list []types.Tag
		for k, v := range tagged {
			list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
		out, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
			ImageId: aws.String(source), InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: list}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.Instances[0].InstanceId)
	}
	now := time.Now()
	dead := launch(map[string]string{tags.BuildID: "old", tags.Expires: tags.Stamp(now.Add(-time.Minute))})
	alive := launch(map[string]string{tags.BuildID: "young", tags.Expires: tags.Stamp(now.Add(time.Hour))})
	unrelated := launch(map[string]string{"Name": "a rig"})
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	said := w.ui.String()
	if !strings.Contains(said, "Found leftover instance of an older build (old): "+dead) || !strings.Contains(said, "sweep -rehearsal") {
		t.Errorf("got output without %s:\n%s", dead, said)
	}
	if strings.Contains(said, alive) || strings.Contains(said, unrelated) {
		t.Errorf("got an instance that is not a leftover in the output:\n%s", said)
	}

	// A failed look-up does not fail the build.
	refused := newWorld(t)
	refused.aws.AddFault(rehearsal.Fault{Action: "DescribeInstances", Nth: 1, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	if _, err := refused.build(t, t.Context(), nil); err != nil {
		t.Errorf("%v\n%s", err, refused.ui.String())
	}
}
