// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package sweep_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/sweep"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// What a dead build has left is found and removed in somebody else's AWS, too,
// its temporary instance profile and role included; what a living one has is not.
func TestAgainstMoto(t *testing.T) {
	config := mototest.Start(t, region)
	ctx := t.Context()
	cloud, rights := ec2.NewFromConfig(config), iam.NewFromConfig(config)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	build := func(name string, expires time.Time) {
		labels := labels(name, tags.Building, expires)
		var list []ec2types.Tag
		var roleTags []types.Tag
		for k, v := range labels {
			list = append(list, ec2types.Tag{Key: aws.String(k), Value: aws.String(v)})
			roleTags = append(roleTags, types.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
		on := func(kinds ...ec2types.ResourceType) (specs []ec2types.TagSpecification) {
			for _, k := range kinds {
				specs = append(specs, ec2types.TagSpecification{ResourceType: k, Tags: list})
			}
			return specs
		}
		images, err := cloud.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
		must(err)
		_, err = cloud.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: &name, TagSpecifications: on(ec2types.ResourceTypeKeyPair)})
		must(err)
		group, err := cloud.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &name, TagSpecifications: on(ec2types.ResourceTypeSecurityGroup)})
		must(err)
		run, err := cloud.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: images.Images[0].ImageId, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SecurityGroupIds: []string{*group.GroupId},
			TagSpecifications: on(ec2types.ResourceTypeInstance, ec2types.ResourceTypeVolume),
		})
		must(err)
		_, err = cloud.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), TagSpecifications: on(ec2types.ResourceTypeVolume)})
		must(err)
		image, err := cloud.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: run.Instances[0].InstanceId, Name: &name, TagSpecifications: on(ec2types.ResourceTypeImage)})
		must(err)
		described, err := cloud.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*image.ImageId}})
		must(err)
		// moto does not take the tags of a snapshot in CreateImage.
		_, err = cloud.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{*described.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId}, Tags: list})
		must(err)

		temporary := aws.String("packer-" + name)
		_, err = rights.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: temporary, Tags: roleTags})
		must(err)
		_, err = rights.CreateRole(ctx, &iam.CreateRoleInput{RoleName: temporary, AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`), Tags: roleTags})
		must(err)
		_, err = rights.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: temporary, PolicyName: temporary, PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)})
		must(err)
		_, err = rights.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{RoleName: temporary, InstanceProfileName: temporary})
		must(err)
	}
	build("dead", now.Add(-time.Hour))
	build("alive", now.Add(time.Hour))
	_, err := rights.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("packer-of-another-plugin")})
	must(err)

	find := func(id string) []sweep.Resource {
		t.Helper()
		plan, err := sweep.Find(ctx, cloud, region, sweep.Choice{BuildID: id}, now)
		must(err)
		global, err := sweep.FindIAM(ctx, rights, sweep.Choice{BuildID: id}, now)
		must(err)
		return append(plan, global...)
	}
	plan, err := sweep.Find(ctx, cloud, region, sweep.Choice{}, now)
	must(err)
	global, err := sweep.FindIAM(ctx, rights, sweep.Choice{}, now)
	must(err)
	var kinds []string
	for _, r := range append(plan, global...) {
		if r.BuildID != "dead" {
			t.Errorf("the plan has %+v", r)
		}
		kinds = append(kinds, fmt.Sprint(r.Kind))
	}
	for _, kind := range []string{"instance", "image", "snapshot", "volume", "security-group", "key-pair", "instance-profile", "role"} {
		if !slices.Contains(kinds, kind) {
			t.Errorf("no %s is in the plan: %v", kind, kinds)
		}
	}
	alive := find("alive")
	quick := poll.Waiter{Interval: 20 * time.Millisecond, Timeout: 10 * time.Second}
	s := sweep.Sweeper{
		Client: func(string) sweep.API { return cloud }, IAM: rights, Gone: quick, Free: quick,
		Now: func() time.Time { return now }, Say: func(sweep.Outcome) {},
	}
	for _, o := range s.Remove(ctx, append(plan, global...)) {
		if o.Err != nil || o.Kept != "" {
			t.Errorf("%s %s: %v %s", o.Kind, o.ID, o.Err, o.Kept)
		}
	}
	// moto deletes key pairs by their names only.
	if left := slices.DeleteFunc(find("dead"), func(r sweep.Resource) bool { return r.Kind == "key-pair" }); len(left) > 0 {
		t.Errorf("left are %+v", left)
	}
	if left := find("alive"); len(left) != len(alive) || len(alive) < 8 {
		t.Errorf("of the living build there was\n%+v\nand is\n%+v", alive, left)
	}
	profiles, err := rights.ListInstanceProfiles(ctx, &iam.ListInstanceProfilesInput{})
	must(err)
	var names []string
	for _, p := range profiles.InstanceProfiles {
		names = append(names, *p.InstanceProfileName)
	}
	if slices.Sort(names); strings.Join(names, " ") != "packer-alive packer-of-another-plugin" {
		t.Errorf("the profiles are %v", names)
	}
}
