// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// motoAWS is somebody else's EC2, and a door before it.
type motoAWS struct {
	aws.Config
	door   string // the URL that a build knows
	source string // an image of Linux

	mu      sync.Mutex
	full    []string // zones without capacity
	dropped int      // tag specifications that moto answers 500 to
}

// newMoto starts it. moto 5 does not implement the tags of a snapshot in
// CreateImage (NotImplementedError), which EC2 has taken since 2020: the door
// takes these out, and nothing else.
func newMoto(t *testing.T) *motoAWS {
	t.Helper()
	m := &motoAWS{Config: mototest.Start(t, "eu-central-1")}
	mototest.Env(t, aws.ToString(m.BaseEndpoint))
	inside, err := url.Parse(aws.ToString(m.BaseEndpoint))
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(inside)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		form, err := url.ParseQuery(string(body))
		if err == nil && m.open(w, form) {
			return
		}
		if form.Get("Action") == "CreateImage" {
			body = []byte(form.Encode())
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	m.door = door.URL
	images, err := m.client("eu-central-1").DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Images {
		if i.Architecture == ec2types.ArchitectureValuesX8664 && i.RootDeviceType == ec2types.DeviceTypeEbs && i.Platform == "" {
			m.source = *i.ImageId
		}
	}
	return m
}

// fill leaves no room in these zones, and room in all others.
func (m *motoAWS) fill(zones ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = zones
}

// open mends or answers a call, and says whether it has.
func (m *motoAWS) open(w http.ResponseWriter, form url.Values) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	action := form.Get("Action")
	if form.Get("DryRun") == "true" {
		return false
	}
	if action == "CreateImage" {
		for n := 1; form.Has(fmt.Sprintf("TagSpecification.%d.ResourceType", n)); n++ {
			prefix := fmt.Sprintf("TagSpecification.%d.", n)
			if form.Get(prefix+"ResourceType") == "snapshot" {
				m.dropped++
				maps.DeleteFunc(form, func(key string, _ []string) bool { return strings.HasPrefix(key, prefix) })
			}
		}
	}
	if action != "RunInstances" || !slices.Contains(m.full, form.Get("Placement.AvailabilityZone")) {
		return false
	}
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = fmt.Fprintf(w, aws403, noCapacity, "there is no room")
	return true
}

func (m *motoAWS) client(region string) *ec2.Client {
	return ec2.NewFromConfig(m.Config, func(o *ec2.Options) { o.Region = region })
}

// build runs the real builder with its own clients, as a user who sets endpoint.
func (m *motoAWS) build(t *testing.T, config map[string]any) (packersdk.Artifact, string, error) {
	t.Helper()
	raw := map[string]any{
		"endpoint": m.door, "region": "eu-central-1", "ami_regions": []string{"us-east-1"}, "ami_name": "against-moto",
		"source_ami": m.source, "communicator": "none", "aws_polling": map[string]any{"delay_seconds": 1},
	}
	maps.Copy(raw, config)
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	artifact, err := b.Run(t.Context(), listener{&packersdk.BasicUi{}, &said, nil}, &packersdk.MockHook{})
	return artifact, said.String(), err
}

// left lists what there is in both regions and was not before, "region kind id"
// each. Tags would not find all of it: moto drops those of snapshots and copies.
func (m *motoAWS) left(t *testing.T, before map[string]bool) (left []string) {
	t.Helper()
	for _, region := range []string{"eu-central-1", "us-east-1"} {
		for _, found := range m.everything(t, region) {
			if !before[region+" "+found] {
				left = append(left, region+" "+found)
			}
		}
	}
	slices.Sort(left)
	return left
}

// before is what there is before any build.
func (m *motoAWS) before(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for _, line := range m.left(t, nil) {
		there[line] = true
	}
	return there
}

// everything lists what a region holds, "kind id" each; an instance that is
// terminated is gone.
func (m *motoAWS) everything(t *testing.T, region string) (found []string) {
	t.Helper()
	ctx, client := context.Background(), m.client(region)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	instances, err := client.DescribeInstances(ctx, nil)
	must(err)
	for _, r := range instances.Reservations {
		for _, i := range r.Instances {
			if i.State.Name != ec2types.InstanceStateNameTerminated {
				found = append(found, "instance "+*i.InstanceId)
			}
		}
	}
	images, err := client.DescribeImages(ctx, nil)
	must(err)
	for _, i := range images.Images {
		found = append(found, "image "+*i.ImageId)
	}
	snapshots, err := client.DescribeSnapshots(ctx, nil)
	must(err)
	for _, s := range snapshots.Snapshots {
		found = append(found, "snapshot "+*s.SnapshotId)
	}
	volumes, err := client.DescribeVolumes(ctx, nil)
	must(err)
	for _, v := range volumes.Volumes {
		found = append(found, "volume "+*v.VolumeId)
	}
	groups, err := client.DescribeSecurityGroups(ctx, nil)
	must(err)
	for _, g := range groups.SecurityGroups {
		found = append(found, "security-group "+*g.GroupId)
	}
	keys, err := client.DescribeKeyPairs(ctx, nil)
	must(err)
	for _, k := range keys.KeyPairs {
		found = append(found, "key-pair "+*k.KeyName)
	}
	return found
}

// The real builder works in somebody else's EC2: launches that fail leave
// nothing, a build of two regions leaves its images, and takes them back.
func TestAgainstMoto(t *testing.T) {
	m := newMoto(t)
	before := m.before(t)
	for _, test := range []struct {
		name   string
		full   []string
		config map[string]any
		err    string
	}{
		{"no capacity anywhere", []string{"eu-central-1a", "eu-central-1b"}, map[string]any{"availability_zones": []string{"eu-central-1a", "eu-central-1b"}}, "all 2 combinations"},
		// The preflight's dry run finds that, too.
		{"moto refuses the launch", nil, map[string]any{"availability_zone": "us-east-1a", "preflight": "off"}, "launching: g4dn.xlarge, on-demand, us-east-1a: Invalid"},
		{"the preflight, by what moto answers", nil, map[string]any{"instance_type": "g4dn.nowhere"}, "g4dn.nowhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m.fill(test.full...)
			_, said, err := m.build(t, test.config)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("the error is %v, want %q\n%s", err, test.err, said)
			}
			if left := m.left(t, before); len(left) > 0 {
				t.Errorf("left behind:\n%s\n%s", strings.Join(left, "\n"), said)
			}
		})
	}

	m.fill("eu-central-1a")
	artifact, said, err := m.build(t, map[string]any{
		"availability_zones": []string{"eu-central-1a", "eu-central-1b"}, "deregister_on_destroy": true, "tags": map[string]string{"For": "moto"},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	report := reportOf(t, artifact)
	if report.Zone != "eu-central-1b" || !strings.Contains(said, "Not launched: g4dn.xlarge, on-demand, eu-central-1a") {
		t.Errorf("launched in %s:\n%s", report.Zone, said)
	}
	var want []string
	for region, id := range report.Images {
		want = append(want, region+" image "+id, region+" snapshot "+report.Snapshots[region][0])
		images, err := m.client(region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		labels := map[string]string{}
		for _, tag := range images.Images[0].Tags {
			labels[*tag.Key] = *tag.Value
		}
		if labels[tags.State] != tags.Released {
			t.Errorf("%s: the tags of %s are %v", region, id, labels)
		}
		// moto's CopyImage ignores its tags.
		if region == "eu-central-1" && (labels["For"] != "moto" || labels[tags.BuildID] != report.BuildID) {
			t.Errorf("%s: the tags of %s are %v", region, id, labels)
		}
	}
	slices.Sort(want)
	if left := m.left(t, before); len(report.Images) != 2 || !slices.Equal(left, want) {
		t.Errorf("there are\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
	if m.dropped != 1 {
		t.Errorf("%d tag specifications of snapshots were kept from moto, want 1", m.dropped)
	}
	if err := artifact.Destroy(); err != nil {
		t.Error(err)
	}
	if left := m.left(t, before); len(left) > 0 {
		t.Errorf("after the images were taken back there are\n%s", strings.Join(left, "\n"))
	}
}
