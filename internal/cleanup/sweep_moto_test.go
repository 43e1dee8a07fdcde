// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup_test

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

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// TestAgainstMoto: a sweep of moto, an independent AWS implementation, deletes all
// resources of a dead build, including its temporary instance profile and role. It
// keeps those of a running build.
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
		labels := sweptLabels(name, tags.Building, expires)
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
		_, err = cloud.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: images.Images[0].ImageId}, TagSpecifications: on(ec2types.ResourceTypeLaunchTemplate),
		})
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
		// moto does not support snapshot tags in CreateImage.
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

	find := func(id string) []cleanup.Resource {
		t.Helper()
		plan, err := cleanup.Find(ctx, cloud, region, cleanup.Choice{BuildID: id}, now)
		must(err)
		global, _, err := cleanup.LookIAM(ctx, rights, cleanup.Choice{BuildID: id}, now)
		must(err)
		return append(plan, global...)
	}
	plan, err := cleanup.Find(ctx, cloud, region, cleanup.Choice{}, now)
	must(err)
	global, living, err := cleanup.LookIAM(ctx, rights, cleanup.Choice{}, now)
	must(err)
	var kinds []string
	for _, r := range append(plan, global...) {
		if r.BuildID != "dead" {
			t.Errorf("got %+v in the plan, want only resources of the dead build", r)
		}
		kinds = append(kinds, fmt.Sprint(r.Kind))
	}
	for _, kind := range []string{"instance", "image", "snapshot", "volume", "security-group", "key-pair", "launch-template", "instance-profile", "role"} {
		if !slices.Contains(kinds, kind) {
			t.Errorf("got no %s in the plan: %v", kind, kinds)
		}
	}
	if len(living) != 2 || living[0].BuildID != "alive" {
		t.Errorf("got unexpired IAM resources %+v, want the profile and the role of the running build", living)
	}
	alive := find("alive")
	quick := poll.Waiter{Interval: 20 * time.Millisecond, Timeout: 10 * time.Second}
	s := cleanup.Sweeper{
		Client: func(string) cleanup.API { return cloud }, IAM: rights, Gone: quick, Free: quick,
		Now: func() time.Time { return now }, Say: func(cleanup.Outcome) {},
	}
	for _, o := range s.Remove(ctx, append(plan, global...)) {
		if o.Err != nil || o.Kept != "" {
			t.Errorf("%s %s: %v %s", o.Kind, o.ID, o.Err, o.Kept)
		}
	}
	// moto deletes key pairs only by name.
	if left := slices.DeleteFunc(find("dead"), func(r cleanup.Resource) bool { return r.Kind == "key-pair" }); len(left) > 0 {
		t.Errorf("got leftover resources %+v, want none", left)
	}
	if left := find("alive"); len(left) != len(alive) || len(alive) < 9 {
		t.Errorf("got resources of the running build\n%+v\nbefore and\n%+v\nafter", alive, left)
	}
	profiles, err := rights.ListInstanceProfiles(ctx, &iam.ListInstanceProfilesInput{})
	must(err)
	var names []string
	for _, p := range profiles.InstanceProfiles {
		names = append(names, *p.InstanceProfileName)
	}
	if slices.Sort(names); strings.Join(names, " ") != "packer-alive packer-of-another-plugin" {
		t.Errorf("got profiles %v", names)
	}
}
