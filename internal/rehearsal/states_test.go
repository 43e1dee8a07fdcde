// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// lab is a server with a manual clock.
type lab struct {
	*testing.T
	server *Server
	clock  *pace.Manual
	ec2    *sdk.Client // client for eu-central-1
}

func newLab(t *testing.T, latency string) *lab {
	t.Helper()
	p, err := pace.Parse(latency)
	if err != nil {
		t.Fatal(err)
	}
	clock := pace.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	l := &lab{T: t, clock: clock, server: New(Config{Clock: clock, Pace: p, Seed: "lab"})}
	l.ec2 = l.in("eu-central-1")
	return l
}

func (l *lab) in(region string) *sdk.Client {
	return sdk.NewFromConfig(l.server.AWSConfig(region), func(o *sdk.Options) { o.RetryMaxAttempts = 1 })
}

func must[T any](l *lab) func(T, error) T {
	return func(v T, err error) T {
		l.Helper()
		if err != nil {
			l.Fatal(err)
		}
		return v
	}
}

func (l *lab) wantCode(err error, code string) {
	l.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		l.Errorf("got %v, want %s", err, code)
	}
}

func (l *lab) source() string {
	l.Helper()
	out := must[*sdk.DescribeImagesOutput](l)(l.ec2.DescribeImages(l.Context(), &sdk.DescribeImagesInput{
		Owners:  []string{"099720109477"},
		Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"*noble*amd64*"}}},
	}))
	return *out.Images[0].ImageId
}

func (l *lab) run() string {
	l.Helper()
	out := must[*sdk.RunInstancesOutput](l)(l.ec2.RunInstances(l.Context(), &sdk.RunInstancesInput{
		ImageId: aws.String(l.source()), InstanceType: types.InstanceTypeG4dnXlarge, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	}))
	return *out.Instances[0].InstanceId
}

func (l *lab) state(id string) string {
	l.Helper()
	out := must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(l.Context(), &sdk.DescribeInstancesInput{InstanceIds: []string{id}}))
	return string(out.Reservations[0].Instances[0].State.Name)
}

func (l *lab) image(region, id string) types.Image {
	l.Helper()
	out := must[*sdk.DescribeImagesOutput](l)(l.in(region).DescribeImages(l.Context(), &sdk.DescribeImagesInput{ImageIds: []string{id}}))
	return out.Images[0]
}

func TestInstanceStates(t *testing.T) {
	one := func(id string) []string { return []string{id} }
	start := func(l *lab, id string) error {
		_, err := l.ec2.StartInstances(l.Context(), &sdk.StartInstancesInput{InstanceIds: one(id)})
		return err
	}
	stop := func(l *lab, id string) error {
		_, err := l.ec2.StopInstances(l.Context(), &sdk.StopInstancesInput{InstanceIds: one(id)})
		return err
	}
	reboot := func(l *lab, id string) error {
		_, err := l.ec2.RebootInstances(l.Context(), &sdk.RebootInstancesInput{InstanceIds: one(id)})
		return err
	}
	terminate := func(l *lab, id string) error {
		_, err := l.ec2.TerminateInstances(l.Context(), &sdk.TerminateInstancesInput{InstanceIds: one(id)})
		return err
	}
	bake := func(l *lab, id string) error {
		_, err := l.ec2.CreateImage(l.Context(), &sdk.CreateImageInput{InstanceId: aws.String(id), Name: aws.String("x-" + id)})
		return err
	}
	verbs := map[string]func(*lab, string) error{"start": start, "stop": stop, "reboot": reboot, "terminate": terminate, "bake": bake}
	// Reach each state, and call each action in it.
	for _, row := range []struct {
		state     string
		reach     func(*lab, string) error
		wait      time.Duration
		wantCodes map[string]string
	}{
		{"pending", nil, 0, map[string]string{"stop": "IncorrectInstanceState", "reboot": "IncorrectInstanceState", "bake": "IncorrectState"}},
		{"running", nil, 9 * time.Second, nil},
		{"stopping", stop, 9 * time.Second, map[string]string{"start": "IncorrectInstanceState", "reboot": "IncorrectInstanceState"}},
		{"stopped", stop, 22 * time.Second, map[string]string{"reboot": "IncorrectInstanceState"}},
		{"shutting-down", terminate, 9 * time.Second, map[string]string{"start": "IncorrectInstanceState", "stop": "IncorrectInstanceState", "reboot": "IncorrectInstanceState", "bake": "IncorrectState"}},
		{"terminated", terminate, 14 * time.Second, map[string]string{"start": "IncorrectInstanceState", "stop": "IncorrectInstanceState", "reboot": "IncorrectInstanceState", "bake": "IncorrectState"}},
	} {
		for verb, do := range verbs {
			t.Run(row.state+"/"+verb, func(t *testing.T) {
				l := newLab(t, "running=9s,stopped=13s,terminated=5s,image=31s,copy=47s,notfound=0s")
				id := l.run()
				l.clock.Advance(min(row.wait, 9*time.Second))
				if row.reach != nil {
					if err := row.reach(l, id); err != nil {
						t.Fatal(err)
					}
					l.clock.Advance(row.wait - 9*time.Second)
				}
				if have := l.state(id); have != row.state {
					t.Fatalf("state: got %s, want %s", have, row.state)
				}
				err := do(l, id)
				if code := row.wantCodes[verb]; code != "" {
					l.wantCode(err, code)
				} else if err != nil {
					t.Errorf("%s: %v", verb, err)
				}
			})
		}
	}
}

func TestTransitionDelays(t *testing.T) {
	l := newLab(t, "running=9s,stopped=13s,terminated=5s")
	id := l.run()
	check := func(after time.Duration, want string) {
		t.Helper()
		l.clock.Advance(after)
		if have := l.state(id); have != want {
			t.Errorf("state: got %s, want %s", have, want)
		}
	}
	check(8999*time.Millisecond, "pending")
	check(time.Millisecond, "running")
	must[*sdk.StopInstancesOutput](l)(l.ec2.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{id}}))
	check(12*time.Second, "stopping")
	check(time.Second, "stopped")
	must[*sdk.TerminateInstancesOutput](l)(l.ec2.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{id}}))
	check(4*time.Second, "shutting-down")
	check(time.Second, "terminated")
	if left := l.server.Inventory(); len(left) != 0 {
		t.Errorf("resources left: %v", left)
	}
	l.clock.Advance(2 * time.Hour)
	_, err := l.ec2.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: []string{id}})
	l.wantCode(err, "InvalidInstanceID.NotFound")
}

func TestImageAndCopyProgress(t *testing.T) {
	for _, row := range []struct {
		model string
		want  [4]string // at 0, 37, 99 and 100 % of the time
	}{
		{"linear", [4]string{"0%", "37%", "99%", "100%"}},
		{"steps", [4]string{"0%", "30%", "90%", "100%"}},
		{"none", [4]string{"", "", "", "100%"}},
		{"stuck", [4]string{"0%", "74%", "99%", "100%"}},
	} {
		t.Run(row.model, func(t *testing.T) {
			l := newLab(t, "instant,image=100s,copy=200s,progress="+row.model)
			id := l.run()
			img := *must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(t.Context(), &sdk.CreateImageInput{InstanceId: &id, Name: aws.String("baked")})).ImageId
			watch := func(region, image string, total time.Duration) {
				t.Helper()
				passed := time.Duration(0)
				for n, percent := range []time.Duration{0, 37, 99, 100} {
					l.clock.Advance(total*percent/100 - passed)
					passed = total * percent / 100
					shown := l.image(region, image)
					snap := *shown.BlockDeviceMappings[0].Ebs.SnapshotId
					out := must[*sdk.DescribeSnapshotsOutput](l)(l.in(region).DescribeSnapshots(t.Context(), &sdk.DescribeSnapshotsInput{SnapshotIds: []string{snap}}))
					if have := *out.Snapshots[0].Progress; have != row.want[n] {
						t.Errorf("progress at %d %% of the time: got %q, want %q", percent, have, row.want[n])
					}
					want := types.ImageStatePending
					if percent == 100 {
						want = types.ImageStateAvailable
					}
					if shown.State != want {
						t.Errorf("image state at %d %% of the time: got %s, want %s", percent, shown.State, want)
					}
				}
			}
			_, err := l.in("us-east-1").CopyImage(t.Context(), &sdk.CopyImageInput{SourceRegion: aws.String("eu-central-1"), SourceImageId: &img, Name: aws.String("baked")})
			l.wantCode(err, "InvalidAMIID.Unavailable")
			watch("eu-central-1", img, 100*time.Second)
			copied := *must[*sdk.CopyImageOutput](l)(l.in("us-east-1").CopyImage(t.Context(), &sdk.CopyImageInput{
				SourceRegion: aws.String("eu-central-1"), SourceImageId: &img, Name: aws.String("baked"),
			})).ImageId
			watch("us-east-1", copied, 200*time.Second)
		})
	}
}

func TestCopyFails(t *testing.T) {
	l := newLab(t, "instant,copy=10s")
	l.server.AddFault(Fault{CopyRegion: "eu-west-2", State: "failed"})
	source := l.source()
	end := map[string]types.ImageState{"eu-west-1": "available", "eu-west-2": "failed"}
	ids := map[string]string{}
	for region := range end {
		ids[region] = *must[*sdk.CopyImageOutput](l)(l.in(region).CopyImage(t.Context(), &sdk.CopyImageInput{
			SourceRegion: aws.String("eu-central-1"), SourceImageId: &source, Name: aws.String("copied"),
		})).ImageId
	}
	l.clock.Advance(10 * time.Second)
	for region, want := range end {
		img := l.image(region, ids[region])
		if img.State != want {
			t.Errorf("copy in %s: got %s, want %s", region, img.State, want)
		}
		if want == "failed" && (img.StateReason == nil || *img.StateReason.Message == "") {
			t.Error("the failed image has no state reason")
		}
		for _, r := range l.server.Inventory()[region] {
			if r.Leaked() != (want == "failed") {
				t.Errorf("%s: %+v", region, r)
			}
		}
	}
}

func TestFaultMatchesCall(t *testing.T) {
	l := newLab(t, "instant")
	source := l.source()
	launch := func(kind types.InstanceType) error {
		_, err := l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{ImageId: &source, InstanceType: kind, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		return err
	}
	l.server.AddFault(Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Nth: 2, Code: "InsufficientInstanceCapacity"})
	for n, row := range []struct {
		kind types.InstanceType
		code string
	}{{"g5.xlarge", ""}, {"g4dn.xlarge", ""}, {"g5.xlarge", "InsufficientInstanceCapacity"}, {"g5.xlarge", ""}} {
		if err := launch(row.kind); row.code != "" {
			l.wantCode(err, row.code)
		} else if err != nil {
			t.Errorf("launch %d: %v", n, err)
		}
	}
	if n := l.server.Calls()["eu-central-1"]["RunInstances"]; n != 4 {
		t.Errorf("got %d calls, want 4", n)
	}
}

// Like in EC2, which is eventually consistent, a new resource is neither found by its
// id or name nor listed at first. Calls do not change it.
func TestEventualConsistency(t *testing.T) {
	l := newLab(t, "running=0s,stopped=0s,image=0s,copy=0s") // NotFound has its default
	ctx, name := t.Context(), aws.String("fresh")
	ids := map[string]string{}
	make := func(kind string) {
		switch kind {
		case "instance":
			ids[kind] = l.run()
		case "key":
			ids[kind] = *must[*sdk.CreateKeyPairOutput](l)(l.ec2.CreateKeyPair(ctx, &sdk.CreateKeyPairInput{KeyName: name, KeyType: "ed25519"})).KeyPairId
		case "group":
			ids[kind] = *must[*sdk.CreateSecurityGroupOutput](l)(l.ec2.CreateSecurityGroup(ctx, &sdk.CreateSecurityGroupInput{GroupName: name, Description: name})).GroupId
		case "volume":
			ids[kind] = *must[*sdk.CreateVolumeOutput](l)(l.ec2.CreateVolume(ctx, &sdk.CreateVolumeInput{AvailabilityZone: aws.String("eu-central-1a"), Size: aws.Int32(8)})).VolumeId
		case "snapshot":
			ids[kind] = *must[*sdk.CreateSnapshotOutput](l)(l.ec2.CreateSnapshot(ctx, &sdk.CreateSnapshotInput{VolumeId: aws.String(ids["volume"])})).SnapshotId
		case "image":
			ids[kind] = *must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(ctx, &sdk.CreateImageInput{InstanceId: aws.String(ids["instance"]), Name: name})).ImageId
		}
	}
	for _, row := range []struct {
		kind, code string
		describe   func(string) error
		list       func() int
		remove     func(string) error
	}{
		{
			"instance", "InvalidInstanceID.NotFound",
			func(id string) error {
				return second(l.ec2.DescribeInstances(ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{id}}))
			},
			func() int {
				return len(must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(ctx, &sdk.DescribeInstancesInput{})).Reservations)
			},
			func(id string) error {
				return second(l.ec2.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{id}}))
			},
		},
		{
			"key", "InvalidKeyPair.NotFound",
			func(id string) error {
				return second(l.ec2.DescribeKeyPairs(ctx, &sdk.DescribeKeyPairsInput{KeyPairIds: []string{id}}))
			},
			func() int {
				return len(must[*sdk.DescribeKeyPairsOutput](l)(l.ec2.DescribeKeyPairs(ctx, &sdk.DescribeKeyPairsInput{})).KeyPairs)
			},
			nil, // EC2 returns success and deletes nothing
		},
		{
			"group", "InvalidGroup.NotFound",
			func(id string) error {
				return second(l.ec2.DescribeSecurityGroups(ctx, &sdk.DescribeSecurityGroupsInput{GroupIds: []string{id}}))
			},
			func() int {
				return len(must[*sdk.DescribeSecurityGroupsOutput](l)(l.ec2.DescribeSecurityGroups(ctx, &sdk.DescribeSecurityGroupsInput{})).SecurityGroups) - 1
			},
			func(id string) error {
				return second(l.ec2.DeleteSecurityGroup(ctx, &sdk.DeleteSecurityGroupInput{GroupId: &id}))
			},
		},
		{
			"volume", "InvalidVolume.NotFound",
			func(id string) error {
				return second(l.ec2.DescribeVolumes(ctx, &sdk.DescribeVolumesInput{VolumeIds: []string{id}}))
			},
			func() int {
				return len(must[*sdk.DescribeVolumesOutput](l)(l.ec2.DescribeVolumes(ctx, &sdk.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("size"), Values: []string{"8"}}, {Name: aws.String("status"), Values: []string{"available"}}}})).Volumes)
			},
			func(id string) error { return second(l.ec2.DeleteVolume(ctx, &sdk.DeleteVolumeInput{VolumeId: &id})) },
		},
		{
			"snapshot", "InvalidSnapshot.NotFound",
			func(id string) error {
				return second(l.ec2.DescribeSnapshots(ctx, &sdk.DescribeSnapshotsInput{SnapshotIds: []string{id}}))
			},
			func() int {
				return len(must[*sdk.DescribeSnapshotsOutput](l)(l.ec2.DescribeSnapshots(ctx, &sdk.DescribeSnapshotsInput{})).Snapshots)
			},
			func(id string) error {
				return second(l.ec2.DeleteSnapshot(ctx, &sdk.DeleteSnapshotInput{SnapshotId: &id}))
			},
		},
		{
			"image", "InvalidAMIID.NotFound",
			func(id string) error {
				return second(l.ec2.DescribeImages(ctx, &sdk.DescribeImagesInput{ImageIds: []string{id}}))
			},
			func() int {
				return len(must[*sdk.DescribeImagesOutput](l)(l.ec2.DescribeImages(ctx, &sdk.DescribeImagesInput{Owners: []string{"self"}})).Images)
			},
			func(id string) error {
				return second(l.ec2.DeregisterImage(ctx, &sdk.DeregisterImageInput{ImageId: &id}))
			},
		},
	} {
		make(row.kind)
		id := ids[row.kind]
		l.wantCode(row.describe(id), row.code)
		if n := row.list(); n != 0 {
			t.Errorf("%s: listed %d new resources", row.kind, n)
		}
		if row.remove != nil {
			l.wantCode(row.remove(id), row.code)
		} else if out := must[*sdk.DeleteKeyPairOutput](l)(l.ec2.DeleteKeyPair(ctx, &sdk.DeleteKeyPairInput{KeyPairId: &id})); out.KeyPairId != nil {
			t.Errorf("%s: deleted a new resource", row.kind)
		}
		l.clock.Advance(pace.Fast.NotFound)
		if err := row.describe(id); err != nil {
			t.Errorf("%s: got %v after %s", row.kind, err, pace.Fast.NotFound)
		}
		if n := row.list(); n == 0 {
			t.Errorf("%s: not listed", row.kind)
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	l := newLab(t, "instant")
	id := l.run()
	img := *must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(t.Context(), &sdk.CreateImageInput{InstanceId: &id, Name: aws.String("baked")})).ImageId
	snap := *l.image("eu-central-1", img).BlockDeviceMappings[0].Ebs.SnapshotId
	before := fmt.Sprint(l.server.Inventory(), l.image("eu-central-1", img).Description)
	dry, ctx, source := aws.Bool(true), t.Context(), l.source()
	name := aws.String("name")
	for verb, err := range map[string]error{
		"RunInstances": second(l.ec2.RunInstances(ctx, &sdk.RunInstancesInput{DryRun: dry, ImageId: &source, InstanceType: "g5.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})),
		"Stop":         second(l.ec2.StopInstances(ctx, &sdk.StopInstancesInput{DryRun: dry, InstanceIds: []string{id}})),
		"Terminate":    second(l.ec2.TerminateInstances(ctx, &sdk.TerminateInstancesInput{DryRun: dry, InstanceIds: []string{id}})),
		"CreateImage":  second(l.ec2.CreateImage(ctx, &sdk.CreateImageInput{DryRun: dry, InstanceId: &id, Name: name})),
		"CopyImage":    second(l.ec2.CopyImage(ctx, &sdk.CopyImageInput{DryRun: dry, SourceImageId: &img, SourceRegion: aws.String("eu-central-1"), Name: name})),
		"Deregister":   second(l.ec2.DeregisterImage(ctx, &sdk.DeregisterImageInput{DryRun: dry, ImageId: &img})),
		"Modify":       second(l.ec2.ModifyImageAttribute(ctx, &sdk.ModifyImageAttributeInput{DryRun: dry, ImageId: &img, Description: &types.AttributeValue{Value: name}})),
		"CopySnapshot": second(l.ec2.CopySnapshot(ctx, &sdk.CopySnapshotInput{DryRun: dry, SourceRegion: aws.String("eu-central-1"), SourceSnapshotId: &snap})),
		"CreateKey":    second(l.ec2.CreateKeyPair(ctx, &sdk.CreateKeyPairInput{DryRun: dry, KeyName: name})),
		"CreateGroup":  second(l.ec2.CreateSecurityGroup(ctx, &sdk.CreateSecurityGroupInput{DryRun: dry, GroupName: name, Description: name})),
		"CreateTags":   second(l.ec2.CreateTags(ctx, &sdk.CreateTagsInput{DryRun: dry, Resources: []string{img}, Tags: []types.Tag{{Key: name, Value: name}}})),
	} {
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "DryRunOperation" {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if after := fmt.Sprint(l.server.Inventory(), l.image("eu-central-1", img).Description); after != before {
		t.Errorf("inventory after dry runs:\n%s\nbefore:\n%s", after, before)
	}
}

func second[T any](_ T, err error) error { return err }

func TestDuplicateCopyName(t *testing.T) {
	l := newLab(t, "instant")
	source := l.source()
	input := func() *sdk.CopyImageInput { // a new input for each call, since the SDK stores its client token in it
		return &sdk.CopyImageInput{SourceRegion: aws.String("eu-central-1"), SourceImageId: &source, Name: aws.String("taken")}
	}
	first := *must[*sdk.CopyImageOutput](l)(l.in("us-west-2").CopyImage(t.Context(), input())).ImageId
	_, err := l.in("us-west-2").CopyImage(t.Context(), input())
	l.wantCode(err, "InvalidAMIName.Duplicate")
	if !strings.Contains(err.Error(), "AMI name taken is already in use by AMI "+first) {
		t.Errorf("got error %v", err)
	}
	if _, err := l.in("us-west-1").CopyImage(t.Context(), input()); err != nil {
		t.Errorf("name in another region: got error %v", err)
	}
}

func TestSeededImagesByRegion(t *testing.T) {
	l := newLab(t, "instant")
	seen := []string{}
	for _, region := range []string{"eu-central-1", "us-east-1", "ap-northeast-1"} {
		out := must[*sdk.DescribeImagesOutput](l)(l.in(region).DescribeImages(t.Context(), &sdk.DescribeImagesInput{Owners: []string{"099720109477", "136693071363"}}))
		if len(out.Images) != 10 {
			t.Errorf("%s: got %d public images", region, len(out.Images))
		}
		for _, img := range out.Images {
			if slices.Contains(seen, *img.ImageId) {
				t.Errorf("image id %s is not unique", *img.ImageId)
			}
			seen = append(seen, *img.ImageId)
		}
	}
}

func TestSessionRejectsOtherHosts(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:3128")
	t.Setenv("AWS_ENDPOINT_URL_EC2", "http://192.0.2.2")
	s := &Session{Endpoint: "http://192.0.2.3:80", AccessKey: "k", SecretKey: "s"}
	client := sdk.NewFromConfig(s.AWSConfig("eu-central-1"), func(o *sdk.Options) { o.RetryMaxAttempts = 1 })
	_, err := client.DescribeRegions(t.Context(), &sdk.DescribeRegionsInput{})
	if !errors.Is(err, ErrNotLoopback) || !strings.Contains(err.Error(), "192.0.2.3:80") {
		t.Errorf("got %v", err)
	}
}

// The key id alone authorizes calls, so it has 80 random bits.
func TestAccessKeyIsRandom(t *testing.T) {
	one, other := New(Config{}), New(Config{})
	for _, s := range []*Server{one, other} {
		if id := s.cfg.AccessKey; !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(id) {
			t.Errorf("key id %q does not have AWS's format", id)
		}
	}
	same := 0
	for n := len("AKIA"); n < len(one.cfg.AccessKey); n++ {
		if one.cfg.AccessKey[n] == other.cfg.AccessKey[n] {
			same++
		}
	}
	if same > 8 { // probability below 1 in 10 million
		t.Errorf("%s and %s have %d characters in common", one.cfg.AccessKey, other.cfg.AccessKey, same)
	}
}
