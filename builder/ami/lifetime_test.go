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
	"os"
	"path/filepath"
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

// parameters keeps those of the calls that it passes on, by action.
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

func TestMaxBuildTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 6 * time.Hour, "0": 0, "0s": 0, "90m": 90 * time.Minute, "5m": 5 * time.Minute, "168h": 168 * time.Hour,
		"4m59s": -1, "168h1s": -1, "-1h": -1, "90": -1, "soon": -1,
	} {
		raw := map[string]any{"region": "eu-central-1"}
		if text != "" {
			raw["max_build_time"] = text
		}
		var b Builder
		_, _, err := b.Prepare(raw)
		switch {
		case want < 0:
			if err == nil || !strings.Contains(err.Error(), `max_build_time: "`+text+`"; expected`) {
				t.Errorf("%q: %v", text, err)
			}
		case err != nil || b.config.MaxBuildTime != want:
			t.Errorf("%q is %s, %v, want %s", text, b.config.MaxBuildTime, err, want)
		}
	}
}

// The instance terminates when it powers itself off, unless the user wants it
// otherwise, or nothing would power it off.
func TestShutdownBehavior(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]any
		want   string
	}{
		"by default":                         {nil, "terminate"},
		"the user's":                         {map[string]any{"shutdown_behavior": "stop"}, "stop"},
		"its provisioners power it off":      {map[string]any{"disable_stop_instance": true}, "stop"},
		"switched off":                       {map[string]any{"max_build_time": "0"}, "stop"},
		"user data that is not cloud-init's": {map[string]any{"user_data": "{}"}, "stop"},
		"no metadata service":                {map[string]any{"metadata_options": map[string]any{"http_endpoint": "disabled"}}, "stop"},
	} {
		raw := map[string]any{"region": "eu-central-1"}
		maps.Copy(raw, test.config)
		var b Builder
		if _, _, err := b.Prepare(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := b.config.InstanceInitiatedShutdownBehavior; got != test.want {
			t.Errorf("%s: shutdown_behavior is %q, want %q", name, got, test.want)
		}
	}
}

// What would not fit is found by packer validate.
func TestUserDataTooLong(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("a key=value\n"), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]map[string]any{
		"user_data_file: it comes to 24000 bytes": {"user_data_file": long},
		"user_data: it comes to 16385 bytes":      {"user_data": "{" + strings.Repeat("x", 16384), "max_build_time": "0"},
	} {
		raw := map[string]any{"region": "eu-central-1"}
		maps.Copy(raw, config)
		if _, _, err := new(Builder).Prepare(raw); err == nil || !strings.Contains(err.Error(), name+"; EC2 takes at most 16384") {
			t.Errorf("want %q, got %v", name, err)
		}
	}
}

func TestLaunchIsArmed(t *testing.T) {
	script := "#!/bin/sh\necho mine\n"
	for name, test := range map[string]struct {
		config         map[string]any
		data, behavior string // what user data contains
		without        string
		said           string
	}{
		"no user data":             {nil, "#cloud-boothook\n#!/bin/sh\n", "terminate", "Content-Type", ""},
		"a script":                 {map[string]any{"user_data": script}, "\n" + script, "terminate", "\x00", ""},
		"a script in base64":       {map[string]any{"user_data": base64.StdEncoding.EncodeToString([]byte(script))}, "\n" + script, "terminate", "\x00", ""},
		"the time is the option's": {map[string]any{"max_build_time": "90m"}, "limit=5400\n", "terminate", "\x00", ""},
		"a spot instance":          {map[string]any{"spot_price": "auto"}, "limit=21600\n", "terminate", "\x00", ""},
		"switched off":             {map[string]any{"max_build_time": "0", "user_data": script}, script, "stop", "boothook", ""},
		"Ignition":                 {map[string]any{"user_data": `{"ignition":{}}`}, `{"ignition":{}}`, "stop", "boothook", "will not end itself if Packer dies (max_build_time): user_data is in no format of cloud-init's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.record(nil)
			if _, err := w.build(t, t.Context(), test.config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			launch := r.sent["RunInstances"][0]
			data, err := base64.StdEncoding.DecodeString(launch.Get("UserData"))
			if err != nil || !strings.Contains(string(data), test.data) || strings.Contains(string(data), test.without) {
				t.Errorf("user data is %q, %v", data, err)
			}
			if got := launch.Get("InstanceInitiatedShutdownBehavior"); got != test.behavior {
				t.Errorf("the shutdown behaviour is %q, want %q", got, test.behavior)
			}
			if !strings.Contains(w.ui.String(), test.said) {
				t.Errorf("it does not say %q:\n%s", test.said, w.ui.String())
			}
			// The image must not inherit that its machines terminate.
			var back []string
			for _, p := range r.sent["ModifyInstanceAttribute"] {
				back = append(back, p.Get("InstanceInitiatedShutdownBehavior.Value"))
			}
			if want := test.behavior == "terminate" && test.config["spot_price"] == nil; want != (len(back) == 1 && back[0] == "stop") {
				t.Errorf("the attribute was set to %q", back)
			}
		})
	}
}

// Whatever a build has made, at whatever moment it dies, says whose it is and
// when it may go; images also that they are not good yet.
func TestEverythingExpires(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"on-demand":          nil,
		"spot":               {"spot_price": "auto"},
		"with tags of users": {"run_tags": map[string]string{"Name": "x"}, "run_volume_tags": map[string]string{"Name": "y"}, "skip_ami_run_tags": true, "max_build_time": "2h"},
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
							t.Errorf("before %s, %s %s in %s has %v", action, res.Kind, res.ID, region, res.Tags)
						}
						if (res.Kind == "image" || res.Kind == "snapshot") && res.Tags[tags.State] == "" {
							t.Errorf("before %s, %s %s in %s has no state: %v", action, res.Kind, res.ID, region, res.Tags)
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
					t.Errorf("no %s was ever seen", kind)
				}
			}
		})
	}
}

// The next build names the instance that a dead one has left, and no other.
func TestOlderBuildsAreNamed(t *testing.T) {
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
	others := launch(map[string]string{"Name": "a rig"})
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	said := w.ui.String()
	if !strings.Contains(said, "An older build (old) left "+dead) || !strings.Contains(said, "sweep --rehearsal") {
		t.Errorf("it does not name %s:\n%s", dead, said)
	}
	if strings.Contains(said, alive) || strings.Contains(said, others) {
		t.Errorf("it names what is not dead:\n%s", said)
	}

	// It is no reason to fail.
	refused := newWorld(t)
	refused.aws.AddFault(rehearsal.Fault{Action: "DescribeInstances", Nth: 1, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	if _, err := refused.build(t, t.Context(), nil); err != nil {
		t.Errorf("%v\n%s", err, refused.ui.String())
	}
}
