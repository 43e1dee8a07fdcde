// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package sweep_test

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

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/sweep"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

const region = "eu-central-1"

// now is when the tests sweep.
var now = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// account is an AWS to sweep.
type account struct {
	*testing.T
	aws *rehearsal.Server
	ec2 *ec2.Client
}

func newAccount(t *testing.T) *account {
	t.Helper()
	server := rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})
	t.Cleanup(func() { _ = server.Close() })
	a := &account{T: t, aws: server}
	a.ec2 = a.in(region)
	return a
}

func (a *account) in(region string) *ec2.Client { return ec2.NewFromConfig(a.aws.AWSConfig(region)) }

func done[T any](a *account) func(T, error) T {
	return func(out T, err error) T {
		a.Helper()
		if err != nil {
			a.Fatal(err)
		}
		return out
	}
}

// build makes what a build has while it copies, and returns the ids by kind.
// With a suffix each name is its own.
func (a *account) build(suffix string, labels map[string]string) map[string]string {
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
	for _, i := range done[*ec2.DescribeImagesOutput](a)(a.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})).Images {
		if i.Architecture == types.ArchitectureValuesX8664 {
			source = *i.ImageId
		}
	}
	key := done[*ec2.CreateKeyPairOutput](a)(a.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: aws.String("key" + suffix), KeyType: types.KeyTypeEd25519, TagSpecifications: on(types.ResourceTypeKeyPair)}))
	group := done[*ec2.CreateSecurityGroupOutput](a)(a.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("group" + suffix), Description: aws.String("x"), TagSpecifications: on(types.ResourceTypeSecurityGroup)}))
	run := done[*ec2.RunInstancesOutput](a)(a.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: &source, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), KeyName: key.KeyName, SecurityGroupIds: []string{*group.GroupId},
		TagSpecifications: on(types.ResourceTypeInstance, types.ResourceTypeVolume),
	}))
	id := run.Instances[0].InstanceId
	volume := done[*ec2.CreateVolumeOutput](a)(a.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(8), TagSpecifications: on(types.ResourceTypeVolume)}))
	image := done[*ec2.CreateImageOutput](a)(a.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: id, Name: aws.String("image" + suffix), TagSpecifications: on(types.ResourceTypeImage, types.ResourceTypeSnapshot)}))
	described := done[*ec2.DescribeImagesOutput](a)(a.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*image.ImageId}})).Images[0]
	return map[string]string{
		"key-pair": *key.KeyPairId, "security-group": *group.GroupId, "instance": *id, "volume": *volume.VolumeId,
		"image": *image.ImageId, "snapshot": *described.BlockDeviceMappings[0].Ebs.SnapshotId,
	}
}

// left is what there is, "kind id" each.
func (a *account) left() []string {
	var left []string
	for _, list := range a.aws.Inventory() {
		for _, r := range list {
			left = append(left, r.Kind+" "+r.ID)
		}
	}
	slices.Sort(left)
	return left
}

func (a *account) sweeper(choice sweep.Choice) *sweep.Sweeper {
	quick := poll.Waiter{Interval: time.Millisecond, Timeout: 50 * time.Millisecond}
	return &sweep.Sweeper{
		Choice: choice, Client: func(region string) sweep.API { return a.in(region) },
		Gone: quick, Free: quick, Now: func() time.Time { return now }, Say: func(sweep.Outcome) {},
	}
}

// sweep finds and removes, and returns what went wrong.
func (a *account) sweep(choice sweep.Choice) (failed []sweep.Outcome) {
	a.Helper()
	plan := done[[]sweep.Resource](a)(sweep.Find(a.Context(), a.ec2, region, choice, now))
	for _, o := range a.sweeper(choice).Remove(a.Context(), plan) {
		if o.Err != nil || o.Kept != "" {
			failed = append(failed, o)
		}
	}
	return failed
}

func labels(build, state string, expires time.Time) map[string]string {
	l := map[string]string{tags.BuildID: build, tags.Expires: tags.Stamp(expires)}
	if state != "" {
		l[tags.State] = state
	}
	return l
}

// What is swept, and above all what is not.
func TestChoice(t *testing.T) {
	dead := now.Add(-time.Minute)
	all := []string{"image", "instance", "key-pair", "security-group", "snapshot", "volume"}
	butImages := []string{"instance", "key-pair", "security-group", "volume"}
	for name, test := range map[string]struct {
		labels map[string]string
		choice sweep.Choice
		gone   []string
	}{
		"a dead build":                   {labels("b", tags.Building, dead), sweep.Choice{}, all},
		"expired this second":            {labels("b", tags.Building, now), sweep.Choice{}, all},
		"a living build":                 {labels("b", tags.Building, now.Add(time.Second)), sweep.Choice{}, nil},
		"images that are good":           {labels("b", tags.Released, dead), sweep.Choice{}, butImages},
		"images of an unknown state":     {labels("b", "keep", dead), sweep.Choice{}, butImages},
		"images without a state":         {labels("b", "", dead), sweep.Choice{}, butImages},
		"without a build's id":           {map[string]string{tags.State: tags.Building, tags.Expires: tags.Stamp(dead)}, sweep.Choice{}, nil},
		"an empty build id":              {labels("", tags.Building, dead), sweep.Choice{}, nil},
		"somebody else's":                {map[string]string{"Name": "rig"}, sweep.Choice{}, nil},
		"no tags at all":                 {nil, sweep.Choice{}, nil},
		"no time":                        {map[string]string{tags.BuildID: "b", tags.State: tags.Building}, sweep.Choice{}, nil},
		"no readable time":               {map[string]string{tags.BuildID: "b", tags.State: tags.Building, tags.Expires: "yesterday"}, sweep.Choice{}, nil},
		"not expired for long enough":    {labels("b", tags.Building, dead), sweep.Choice{OlderThan: time.Hour}, nil},
		"expired for long enough":        {labels("b", tags.Building, dead), sweep.Choice{OlderThan: time.Minute}, all},
		"the build asked for, living":    {labels("b", tags.Building, now.Add(time.Hour)), sweep.Choice{BuildID: "b"}, all},
		"the build asked for, released":  {labels("b", tags.Released, now.Add(time.Hour)), sweep.Choice{BuildID: "b"}, butImages},
		"the build asked for, no time":   {map[string]string{tags.BuildID: "b", tags.State: tags.Building}, sweep.Choice{BuildID: "b"}, all},
		"another than the one asked for": {labels("b", tags.Building, dead), sweep.Choice{BuildID: "c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			ids := a.build("", test.labels)
			if failed := a.sweep(test.choice); len(failed) > 0 {
				t.Errorf("not removed: %+v", failed)
			}
			left := strings.Join(a.left(), "\n")
			for kind, id := range ids {
				if gone := !strings.Contains(left, id); gone != slices.Contains(test.gone, kind) {
					t.Errorf("%s %s: gone is %t", kind, id, gone)
				}
			}
			if len(test.gone) == len(all) && left != "" {
				t.Errorf("left behind:\n%s", left)
			}
		})
	}
}

// A sweep touches nothing of a build beside a dead one.
func TestNeighboursStay(t *testing.T) {
	a := newAccount(t)
	a.build("-alive", labels("alive", tags.Building, now.Add(time.Hour)))
	a.build("-rig", map[string]string{"Name": "rig"})
	before := a.left()
	a.build("-dead", labels("dead", tags.Building, now.Add(-time.Hour)))
	if failed := a.sweep(sweep.Choice{}); len(failed) > 0 {
		t.Errorf("not removed: %+v", failed)
	}
	if after := a.left(); !slices.Equal(before, after) {
		t.Errorf("there was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// Between the plan and its removal a build may have come to its end: what it
// has marked as good meanwhile is kept.
func TestWhatHasChangedIsKept(t *testing.T) {
	a := newAccount(t)
	ids := a.build("", labels("b", tags.Building, now.Add(-time.Hour)))
	plan := done[[]sweep.Resource](a)(sweep.Find(t.Context(), a.ec2, region, sweep.Choice{}, now))
	done[*ec2.CreateTagsOutput](a)(a.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{ids["image"], ids["snapshot"]}, Tags: []types.Tag{{Key: aws.String(tags.State), Value: aws.String(tags.Released)}},
	}))
	done[*ec2.CreateTagsOutput](a)(a.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{ids["volume"]}, Tags: []types.Tag{{Key: aws.String(tags.Expires), Value: aws.String(tags.Stamp(now.Add(time.Hour)))}},
	}))
	done[*ec2.DeleteKeyPairOutput](a)(a.ec2.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyPairId: aws.String(ids["key-pair"])}))
	kept := map[string]bool{}
	for _, o := range a.sweeper(sweep.Choice{}).Remove(t.Context(), plan) {
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
			t.Errorf("%s was not said to be kept", kind)
		}
	}
	slices.Sort(want)
	if left := a.left(); !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

// What is refused is said with the command that does it, and stops nothing
// else; a second sweep ends what the first could not.
func TestRefusals(t *testing.T) {
	kinds := map[string]string{
		"TerminateInstances": "terminate-instances", "DeregisterImage": "deregister-image", "DeleteSnapshot": "delete-snapshot",
		"DeleteVolume": "delete-volume", "DeleteSecurityGroup": "delete-security-group", "DeleteKeyPair": "delete-key-pair",
	}
	for action, verb := range kinds {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			a.build("", labels("b", tags.Building, now.Add(-time.Hour)))
			a.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
			failed := a.sweep(sweep.Choice{})
			if len(failed) == 0 || !slices.ContainsFunc(failed, func(o sweep.Outcome) bool {
				return strings.HasPrefix(o.Command(), "aws ec2 "+verb+" ") && strings.HasSuffix(o.Command(), o.ID+" --region "+region)
			}) {
				t.Errorf("it says %+v", failed)
			}
			// Held by what could not be removed, at most.
			most := map[string]int{"TerminateInstances": 4, "DeregisterImage": 2}[action]
			if left := a.left(); len(left) == 0 || len(left) > max(1, most) {
				t.Errorf("left are:\n%s", strings.Join(left, "\n"))
			}
			a.aws.ClearFaults()
			if failed := a.sweep(sweep.Choice{}); len(failed) > 0 {
				t.Errorf("the second sweep: %+v", failed)
			}
			if left := a.left(); len(left) > 0 {
				t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
			}
		})
	}
}

// A kind that it may not look for does not hide the others.
func TestOneKindRefused(t *testing.T) {
	a := newAccount(t)
	a.build("", labels("b", tags.Building, now.Add(-time.Hour)))
	a.aws.AddFault(rehearsal.Fault{Action: "DescribeVolumes", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	plan, err := sweep.Find(t.Context(), a.ec2, region, sweep.Choice{}, now)
	if err == nil || !strings.Contains(err.Error(), "looking for each volume in "+region) {
		t.Errorf("got %v", err)
	}
	var kinds []string
	for _, r := range plan {
		kinds = append(kinds, fmt.Sprint(r.Kind))
	}
	if want := []string{"instance", "image", "snapshot", "security-group", "key-pair"}; !slices.Equal(kinds, want) {
		t.Errorf("found %v, want %v, in the order of removal", kinds, want)
	}
}
