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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// motoAWS is moto, an independent implementation of EC2, behind a proxy.
type motoAWS struct {
	aws.Config
	proxy  string // the URL that a build uses
	source string // a Linux image

	mu      sync.Mutex
	full    []string // zones without capacity
	dropped int      // removed tag specifications, which moto rejects with 500

	// late is how long the proxy does not find a new id, as EC2 may: moto finds it at
	// once.
	late   time.Duration
	checks steps.MakeChecks     // of launch tests; nil for none
	made   map[string]time.Time // new ids
	hides  int                  // requests for new ids
}

var newID = regexp.MustCompile(`<(?:instanceId|imageId|groupId)>((i|ami|sg)-[0-9a-f]+)<`)

// notFound are EC2's codes by the prefix of an id.
var notFound = map[string]string{"i": "InvalidInstanceID.NotFound", "ami": "InvalidAMIID.NotFound", "sg": "InvalidGroup.NotFound"}

// note records the new ids in a response.
func (m *motoAWS) note(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if !bytes.Contains(body, []byte("<RunInstancesResponse")) && !bytes.Contains(body, []byte("<CreateImageResponse")) &&
		!bytes.Contains(body, []byte("<CopyImageResponse")) && !bytes.Contains(body, []byte("<CreateSecurityGroupResponse")) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, match := range newID.FindAllSubmatch(body, -1) {
		if id := string(match[1]); m.made[id].IsZero() {
			m.made[id] = time.Now()
		}
	}
	return nil
}

// hide responds to a request for an id that is too new.
func (m *motoAWS) hide(w http.ResponseWriter, form url.Values) bool {
	for _, values := range form {
		for _, id := range values {
			if at := m.made[id]; !at.IsZero() && time.Since(at) < m.late {
				prefix, _, _ := strings.Cut(id, "-")
				m.hides++
				w.WriteHeader(http.StatusBadRequest)
				_, _ = fmt.Fprintf(w, aws403, notFound[prefix], "The ID '"+id+"' does not exist")
				return true
			}
		}
	}
	return false
}

// newMoto starts moto and its proxy. moto 5 does not implement snapshot tags in
// CreateImage (NotImplementedError), which EC2 supports since 2020. The proxy removes
// them, and nothing else.
func newMoto(t *testing.T) *motoAWS {
	t.Helper()
	m := &motoAWS{Config: mototest.Start(t, "eu-central-1"), made: map[string]time.Time{}}
	mototest.Env(t, aws.ToString(m.BaseEndpoint))
	inside, err := url.Parse(aws.ToString(m.BaseEndpoint))
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(inside)
	pass.ModifyResponse = m.note
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		form, err := url.ParseQuery(string(body))
		if err == nil && m.intercept(w, form) {
			return
		}
		if form.Get("Action") == "CreateImage" {
			body = []byte(form.Encode())
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	m.proxy = proxy.URL
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

// fill leaves capacity only in the zones that are not named.
func (m *motoAWS) fill(zones ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = zones
}

// intercept adapts a request for moto, or responds to it and returns true.
func (m *motoAWS) intercept(w http.ResponseWriter, form url.Values) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	action := form.Get("Action")
	if form.Get("DryRun") == "true" {
		return false
	}
	if m.hide(w, form) {
		return true
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
	_, _ = fmt.Fprintf(w, aws403, noCapacity, "no capacity")
	return true
}

func (m *motoAWS) client(region string) *ec2.Client {
	return ec2.NewFromConfig(m.Config, func(o *ec2.Options) { o.Region = region })
}

// build runs the real builder with its own clients and a custom endpoint.
func (m *motoAWS) build(t *testing.T, config map[string]any) (packersdk.Artifact, string, error) {
	t.Helper()
	raw := map[string]any{
		"endpoint": m.proxy, "region": "eu-central-1", "ami_regions": []string{"us-east-1"}, "ami_name": "against-moto",
		"source_ami": m.source, "communicator": "none", "aws_polling": map[string]any{"delay_seconds": 1},
	}
	maps.Copy(raw, config)
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	if m.checks != nil { // nothing can log in to moto's instances, so launch_test is refused
		var with Builder
		raw["communicator"], raw["ssh_username"], raw["launch_test"] = "ssh", "ubuntu", map[string]any{}
		if _, _, err := with.Prepare(raw); err != nil {
			t.Fatal(err)
		}
		b.config.LaunchTest, b.config.OnLaunchTestFailure, b.checkLaunch = with.config.LaunchTest, with.config.OnLaunchTestFailure, m.checks
	}
	var said strings.Builder
	artifact, err := b.Run(t.Context(), listener{&packersdk.BasicUi{}, &said, nil}, &packersdk.MockHook{})
	return artifact, said.String(), err
}

// left lists the new resources of both regions, each as "region kind id". It does not
// rely on tags, because moto drops those of snapshots and copies.
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

// before returns the resources that exist before any build.
func (m *motoAWS) before(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for _, line := range m.left(t, nil) {
		there[line] = true
	}
	return there
}

// everything lists the resources of a region, each as "kind id", without terminated
// instances.
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

// withoutImage makes a build stop before it creates its image.
func withoutImage(config map[string]any) map[string]any {
	config["skip_create_ami"], config["ami_regions"] = true, []string(nil)
	return config
}

// profiles lists the instance profiles and roles of the account, except moto's own.
func (m *motoAWS) profiles(t *testing.T) (found []string) {
	t.Helper()
	client := iam.NewFromConfig(m.Config)
	profiles, err := client.ListInstanceProfiles(t.Context(), &iam.ListInstanceProfilesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range profiles.InstanceProfiles {
		found = append(found, "instance-profile "+*p.InstanceProfileName)
	}
	roles, err := client.ListRoles(t.Context(), &iam.ListRolesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roles.Roles {
		if strings.HasPrefix(*r.RoleName, "packer-") {
			found = append(found, "role "+*r.RoleName)
		}
	}
	return found
}

// TestAgainstMoto runs the real builder against moto. Failed launches leave nothing
// behind. A build of two regions leaves its images, and Destroy deletes them.
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
		// The preflight's dry run would find that first.
		{"moto refuses the launch", nil, map[string]any{"availability_zone": "us-east-1a", "preflight": "off"}, "launching: g4dn.xlarge, on-demand, us-east-1a: Invalid"},
		{"the preflight rejects moto's response", nil, map[string]any{"instance_type": "g4dn.nowhere"}, "g4dn.nowhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m.fill(test.full...)
			_, said, err := m.build(t, test.config)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("got error %v, want %q\n%s", err, test.err, said)
			}
			if left := m.left(t, before); len(left) > 0 {
				t.Errorf("got leftover resources, want none:\n%s\n%s", strings.Join(left, "\n"), said)
			}
		})
	}

	m.fill()
	if _, said, err := m.build(t, withoutImage(withProfile())); err != nil {
		t.Errorf("with a temporary profile: %v\n%s", err, said)
	}
	if left := append(m.left(t, before), m.profiles(t)...); len(left) > 0 {
		t.Errorf("with a temporary profile: got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}

	m.checks = fails
	if _, said, err := m.build(t, nil); err == nil || !strings.Contains(err.Error(), "failed: service: it ended") {
		t.Errorf("with a launch test that fails: %v\n%s", err, said)
	}
	if left := m.left(t, before); len(left) > 0 {
		t.Errorf("with a launch test that fails: got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}
	m.checks, m.dropped = passes, 0

	m.fill("eu-central-1a")
	m.late = 2 * time.Second
	artifact, said, err := m.build(t, map[string]any{
		"availability_zones": []string{"eu-central-1a", "eu-central-1b"}, "deregister_on_destroy": true, "tags": map[string]string{"For": "moto"},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if m.hides == 0 {
		t.Error("no new id was hidden")
	}
	report := reportOf(t, artifact)
	if !report.PassedTest() || report.LaunchTests[0].InstanceID == report.InstanceID {
		t.Errorf("the launch test is %+v", report.LaunchTests)
	}
	if report.Zone != "eu-central-1b" || !strings.Contains(said, "Launch refused: g4dn.xlarge, on-demand, eu-central-1a") {
		t.Errorf("got zone %s, want eu-central-1b after a refused launch:\n%s", report.Zone, said)
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
			t.Errorf("%s: %s: got tags %v", region, id, labels)
		}
		// moto's CopyImage ignores its tags.
		if region == "eu-central-1" && (labels["For"] != "moto" || labels[tags.BuildID] != report.BuildID) {
			t.Errorf("%s: %s: got tags %v", region, id, labels)
		}
	}
	slices.Sort(want)
	if left := m.left(t, before); len(report.Images) != 2 || !slices.Equal(left, want) {
		t.Errorf("got resources\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
	if m.dropped != 1 {
		t.Errorf("got %d removed tag specifications of snapshots, want 1", m.dropped)
	}
	if err := artifact.Destroy(); err != nil {
		t.Error(err)
	}
	if left := m.left(t, before); len(left) > 0 {
		t.Errorf("after Destroy: got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}
}
