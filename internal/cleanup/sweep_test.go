// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// now is the time of the sweep.
var now = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// swept is a simulated account to sweep.
type swept struct {
	*testing.T
	aws *rehearsal.Server
	ec2 *ec2.Client
}

func newSwept(t *testing.T) *swept {
	t.Helper()
	server := rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})
	t.Cleanup(func() { _ = server.Close() })
	a := &swept{T: t, aws: server}
	a.ec2 = a.in(region)
	return a
}

func (a *swept) in(region string) *ec2.Client { return ec2.NewFromConfig(a.aws.AWSConfig(region)) }

func sweptDone[T any](a *swept) func(T, error) T {
	return func(out T, err error) T {
		a.Helper()
		if err != nil {
			a.Fatal(err)
		}
		return out
	}
}

// build creates the resources of a build during its copies and returns the IDs by kind.
// A suffix makes the names unique.
func (a *swept) build(suffix string, labels map[string]string) map[string]string {
	a.Helper()
	var list []types.Tag
	for k, v := range labels {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	on := func(kinds ...types.ResourceType) (specs []types.TagSpecification) {
		for _, k := range kinds {
			if len(list) > 0 {
				specs = append(specs, types.TagSpecification{ResourceType: k, Tags: list})
			}
		}
		return specs
	}
	ctx := a.Context()
	source := ""
	for _, i := range sweptDone[*ec2.DescribeImagesOutput](a)(a.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})).Images {
		if i.Architecture == types.ArchitectureValuesX8664 {
			source = *i.ImageId
		}
	}
	key := sweptDone[*ec2.CreateKeyPairOutput](a)(a.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: aws.String("key" + suffix), KeyType: types.KeyTypeEd25519, TagSpecifications: on(types.ResourceTypeKeyPair)}))
	group := sweptDone[*ec2.CreateSecurityGroupOutput](a)(a.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("group" + suffix), Description: aws.String("x"), TagSpecifications: on(types.ResourceTypeSecurityGroup)}))
	run := sweptDone[*ec2.RunInstancesOutput](a)(a.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: &source, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), KeyName: key.KeyName, SecurityGroupIds: []string{*group.GroupId},
		TagSpecifications: on(types.ResourceTypeInstance, types.ResourceTypeVolume),
	}))
	id := run.Instances[0].InstanceId
	template := sweptDone[*ec2.CreateLaunchTemplateOutput](a)(a.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("template" + suffix), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &source}, TagSpecifications: on(types.ResourceTypeLaunchTemplate),
	}))
	volume := sweptDone[*ec2.CreateVolumeOutput](a)(a.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(8), TagSpecifications: on(types.ResourceTypeVolume)}))
	image := sweptDone[*ec2.CreateImageOutput](a)(a.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: id, Name: aws.String("image" + suffix), TagSpecifications: on(types.ResourceTypeImage, types.ResourceTypeSnapshot)}))
	described := sweptDone[*ec2.DescribeImagesOutput](a)(a.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*image.ImageId}})).Images[0]
	return map[string]string{
		"key-pair": *key.KeyPairId, "security-group": *group.GroupId, "instance": *id, "volume": *volume.VolumeId,
		"launch-template": *template.LaunchTemplate.LaunchTemplateId, "image": *image.ImageId, "snapshot": *described.BlockDeviceMappings[0].Ebs.SnapshotId,
	}
}

// left lists the resources, each as "kind id".
func (a *swept) left() []string {
	var left []string
	for _, list := range a.aws.Inventory() {
		for _, r := range list {
			left = append(left, r.Kind+" "+r.ID)
		}
	}
	slices.Sort(left)
	return left
}

func (a *swept) sweeper(choice cleanup.Choice) *cleanup.Sweeper {
	quick := poll.Waiter{Interval: time.Millisecond, Timeout: 50 * time.Millisecond}
	return &cleanup.Sweeper{
		Choice: choice, Client: func(region string) cleanup.API { return a.in(region) },
		Gone: quick, Free: quick, Now: func() time.Time { return now }, Say: func(cleanup.Outcome) {},
	}
}

// sweep finds and removes resources, and returns the failures.
func (a *swept) sweep(choice cleanup.Choice) (failed []cleanup.Outcome) {
	a.Helper()
	plan := sweptDone[[]cleanup.Resource](a)(cleanup.Find(a.Context(), a.ec2, region, choice, now))
	for _, o := range a.sweeper(choice).Remove(a.Context(), plan) {
		if o.Err != nil || o.Kept != "" {
			failed = append(failed, o)
		}
	}
	return failed
}

func sweptLabels(build, state string, expires time.Time) map[string]string {
	l := map[string]string{tags.BuildID: build, tags.Expires: tags.Stamp(expires)}
	if state != "" {
		l[tags.State] = state
	}
	return l
}

// TestChoice: a sweep deletes only resources that are surely those of a dead build.
func TestChoice(t *testing.T) {
	dead := now.Add(-time.Minute)
	all := []string{"image", "instance", "key-pair", "launch-template", "security-group", "snapshot", "volume"}
	butImages := []string{"instance", "key-pair", "launch-template", "security-group", "volume"}
	for name, test := range map[string]struct {
		labels map[string]string
		choice cleanup.Choice
		gone   []string
	}{
		"a dead build":                {sweptLabels("b", tags.Building, dead), cleanup.Choice{}, all},
		"expired this second":         {sweptLabels("b", tags.Building, now), cleanup.Choice{}, all},
		"a running build":             {sweptLabels("b", tags.Building, now.Add(time.Second)), cleanup.Choice{}, nil},
		"released images":             {sweptLabels("b", tags.Released, dead), cleanup.Choice{}, butImages},
		"images of an unknown state":  {sweptLabels("b", "keep", dead), cleanup.Choice{}, butImages},
		"images without a state":      {sweptLabels("b", "", dead), cleanup.Choice{}, butImages},
		"without a build id":          {map[string]string{tags.State: tags.Building, tags.Expires: tags.Stamp(dead)}, cleanup.Choice{}, nil},
		"an empty build id":           {sweptLabels("", tags.Building, dead), cleanup.Choice{}, nil},
		"unrelated resources":         {map[string]string{"Name": "rig"}, cleanup.Choice{}, nil},
		"no tags":                     {nil, cleanup.Choice{}, nil},
		"no expiry":                   {map[string]string{tags.BuildID: "b", tags.State: tags.Building}, cleanup.Choice{}, nil},
		"an invalid expiry":           {map[string]string{tags.BuildID: "b", tags.State: tags.Building, tags.Expires: "yesterday"}, cleanup.Choice{}, nil},
		"not expired for long enough": {sweptLabels("b", tags.Building, dead), cleanup.Choice{OlderThan: time.Hour}, nil},
		"expired for long enough":     {sweptLabels("b", tags.Building, dead), cleanup.Choice{OlderThan: time.Minute}, all},
		"the chosen build, running":   {sweptLabels("b", tags.Building, now.Add(time.Hour)), cleanup.Choice{BuildID: "b"}, all},
		"the chosen build, released":  {sweptLabels("b", tags.Released, now.Add(time.Hour)), cleanup.Choice{BuildID: "b"}, butImages},
		"the chosen build, no expiry": {map[string]string{tags.BuildID: "b", tags.State: tags.Building}, cleanup.Choice{BuildID: "b"}, all},
		"not the chosen build":        {sweptLabels("b", tags.Building, dead), cleanup.Choice{BuildID: "c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newSwept(t)
			ids := a.build("", test.labels)
			if failed := a.sweep(test.choice); len(failed) > 0 {
				t.Errorf("got failures %+v, want none", failed)
			}
			left := strings.Join(a.left(), "\n")
			for kind, id := range ids {
				if gone := !strings.Contains(left, id); gone != slices.Contains(test.gone, kind) {
					t.Errorf("%s %s: got removed = %t", kind, id, gone)
				}
			}
			if len(test.gone) == len(all) && left != "" {
				t.Errorf("got leftover resources:\n%s", left)
			}
		})
	}
}

// TestSweepKeepsOtherBuilds: a sweep of a dead build keeps the resources of other builds.
func TestSweepKeepsOtherBuilds(t *testing.T) {
	a := newSwept(t)
	a.build("-alive", sweptLabels("alive", tags.Building, now.Add(time.Hour)))
	a.build("-rig", map[string]string{"Name": "rig"})
	before := a.left()
	a.build("-dead", sweptLabels("dead", tags.Building, now.Add(-time.Hour)))
	if failed := a.sweep(cleanup.Choice{}); len(failed) > 0 {
		t.Errorf("got failures %+v, want none", failed)
	}
	if after := a.left(); !slices.Equal(before, after) {
		t.Errorf("got resources\n%s\nbefore and\n%s\nafter", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// TestSweepKeepsChangedResources: a build can finish between the plan and the removal. Images
// that it has released meanwhile are kept.
func TestSweepKeepsChangedResources(t *testing.T) {
	a := newSwept(t)
	ids := a.build("", sweptLabels("b", tags.Building, now.Add(-time.Hour)))
	plan := sweptDone[[]cleanup.Resource](a)(cleanup.Find(t.Context(), a.ec2, region, cleanup.Choice{}, now))
	sweptDone[*ec2.CreateTagsOutput](a)(a.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{ids["image"], ids["snapshot"]}, Tags: []types.Tag{{Key: aws.String(tags.State), Value: aws.String(tags.Released)}},
	}))
	sweptDone[*ec2.CreateTagsOutput](a)(a.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{ids["volume"]}, Tags: []types.Tag{{Key: aws.String(tags.Expires), Value: aws.String(tags.Stamp(now.Add(time.Hour)))}},
	}))
	sweptDone[*ec2.DeleteKeyPairOutput](a)(a.ec2.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyPairId: aws.String(ids["key-pair"])}))
	kept := map[string]bool{}
	for _, o := range a.sweeper(cleanup.Choice{}).Remove(t.Context(), plan) {
		if o.Err != nil {
			t.Errorf("%s: %v", o.ID, o.Err)
		}
		if o.Kept != "" {
			kept[o.ID] = true
		}
	}
	var want []string
	for _, kind := range []string{"image", "snapshot", "volume"} {
		want = append(want, kind+" "+ids[kind])
		if !kept[ids[kind]] {
			t.Errorf("got %s not reported as kept", kind)
		}
	}
	slices.Sort(want)
	if left := a.left(); !slices.Equal(left, want) {
		t.Errorf("got %v, want %v", left, want)
	}
}

// TestSweepReportsDeniedDeletion: a denied deletion is reported with the equivalent command and does not
// stop the sweep. A second sweep deletes the rest.
func TestSweepReportsDeniedDeletion(t *testing.T) {
	kinds := map[string]string{
		"TerminateInstances": "terminate-instances", "DeregisterImage": "deregister-image", "DeleteSnapshot": "delete-snapshot",
		"DeleteVolume": "delete-volume", "DeleteSecurityGroup": "delete-security-group", "DeleteKeyPair": "delete-key-pair",
		"DeleteLaunchTemplate": "delete-launch-template",
	}
	for action, verb := range kinds {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			a := newSwept(t)
			a.build("", sweptLabels("b", tags.Building, now.Add(-time.Hour)))
			a.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
			failed := a.sweep(cleanup.Choice{})
			if len(failed) == 0 || !slices.ContainsFunc(failed, func(o cleanup.Outcome) bool {
				return strings.HasPrefix(o.Command(), "aws ec2 "+verb+" ") && strings.HasSuffix(o.Command(), o.ID+" --region "+region)
			}) {
				t.Errorf("got failures %+v", failed)
			}
			// Only resources in use by the remaining one may be left.
			most := map[string]int{"TerminateInstances": 4, "DeregisterImage": 2}[action]
			if left := a.left(); len(left) == 0 || len(left) > max(1, most) {
				t.Errorf("got leftover resources:\n%s", strings.Join(left, "\n"))
			}
			a.aws.ClearFaults()
			if failed := a.sweep(cleanup.Choice{}); len(failed) > 0 {
				t.Errorf("second sweep: got failures %+v, want none", failed)
			}
			if left := a.left(); len(left) > 0 {
				t.Errorf("got leftover resources, want none:\n%s", strings.Join(left, "\n"))
			}
		})
	}
}

// TestSweepWithDeniedLookup: a denied look-up of one kind does not affect the others.
func TestSweepWithDeniedLookup(t *testing.T) {
	a := newSwept(t)
	a.build("", sweptLabels("b", tags.Building, now.Add(-time.Hour)))
	a.aws.AddFault(rehearsal.Fault{Action: "DescribeVolumes", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	plan, err := cleanup.Find(t.Context(), a.ec2, region, cleanup.Choice{}, now)
	if err == nil || !strings.Contains(err.Error(), "listing resources of kind volume in "+region) {
		t.Errorf("got %v", err)
	}
	var kinds []string
	for _, r := range plan {
		kinds = append(kinds, fmt.Sprint(r.Kind))
	}
	if want := []string{"instance", "image", "snapshot", "security-group", "key-pair", "launch-template"}; !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v, in the order of removal", kinds, want)
	}
}
