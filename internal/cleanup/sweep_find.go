// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// finder lists the resources of a kind that match the filters.
type finder struct {
	kind Kind
	by   string // the filter for ids
	find func(context.Context, API, []types.Filter) ([]Resource, error)
}

// finders are in the order of removal.
var finders = []finder{
	{Instance, "instance-id", instances},
	{Image, "image-id", images},
	{Snapshot, "snapshot-id", snapshots},
	{Volume, "volume-id", volumes},
	{SecurityGroup, "group-id", securityGroups},
	{KeyPair, "key-pair-id", keyPairs},
	{LaunchTemplate, templateID, launchTemplates},
}

// SearchError is the error for one kind of resource that could not be listed.
type SearchError struct {
	Region string // Global for IAM
	Kind   Kind
	Err    error
}

func (e *SearchError) Error() string {
	if e.Region == Global {
		return fmt.Sprintf("listing resources of kind %s: %s", e.Kind, e.Err)
	}
	return fmt.Sprintf("listing resources of kind %s in %s: %s", e.Kind, e.Region, e.Err)
}

func (e *SearchError) Unwrap() error { return e.Err }

// Find returns the resources to sweep in a region, in the order of removal. If it
// cannot list some kinds, it returns an error and the other kinds.
func Find(ctx context.Context, api API, region string, choice Choice, now time.Time) ([]Resource, error) {
	seen, err := Look(ctx, api, region, choice, now)
	return seen.Leftovers, err
}

// Seen is the result of Look.
type Seen struct {
	Leftovers []Resource // of dead builds, in the order of removal
	Living    []Resource // of builds that have not expired, and may still run
	Finished  []Resource // the finished images of the chosen build, which a sweep keeps
}

// Look returns what a region has of builds. Its error joins one *SearchError for each
// kind.
func Look(ctx context.Context, api API, region string, choice Choice, now time.Time) (seen Seen, err error) {
	filter := types.Filter{Name: aws.String("tag-key"), Values: []string{tags.BuildID}}
	if choice.BuildID != "" {
		filter = types.Filter{Name: aws.String("tag:" + tags.BuildID), Values: []string{choice.BuildID}}
	}
	var failures []error
	for _, f := range finders {
		all, err := f.find(ctx, api, []types.Filter{filter})
		if err != nil {
			failures = append(failures, &SearchError{region, f.kind, err})
		}
		for _, r := range all {
			r.Region = region
			switch {
			case choice.takes(r, now):
				seen.Leftovers = append(seen.Leftovers, r)
			case r.ours() && choice.BuildID == "":
				seen.Living = append(seen.Living, r)
			case r.Kind == Image && choice.BuildID != "":
				seen.Finished = append(seen.Finished, r)
			}
		}
	}
	return seen, errors.Join(failures...)
}

// Instances returns the existing instances of all builds in a region. It makes one
// request per 1000 instances.
func Instances(ctx context.Context, api ec2.DescribeInstancesAPIClient, region string) ([]Resource, error) {
	found, err := describeInstances(ctx, api, []types.Filter{{Name: aws.String("tag-key"), Values: []string{tags.BuildID}}})
	for i := range found {
		found[i].Region = region
	}
	return found, err
}

// again returns the current state of a resource, or false if it no longer exists.
func again(ctx context.Context, api API, r Resource) (Resource, bool, error) {
	for _, f := range finders {
		if f.kind != r.Kind {
			continue
		}
		found, err := f.find(ctx, api, []types.Filter{{Name: aws.String(f.by), Values: []string{r.ID}}})
		if err != nil || len(found) == 0 {
			return Resource{}, false, err
		}
		found[0].Region = r.Region
		return found[0], true, nil
	}
	return Resource{}, false, fmt.Errorf("%s: unknown kind", r.Kind)
}

// tagged converts tags to a lookup function.
func tagged(list []types.Tag) func(string) string {
	return func(key string) string {
		for _, t := range list {
			if aws.ToString(t.Key) == key {
				return aws.ToString(t.Value)
			}
		}
		return ""
	}
}

func instances(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	return describeInstances(ctx, api, filters)
}

func describeInstances(ctx context.Context, api ec2.DescribeInstancesAPIClient, filters []types.Filter) ([]Resource, error) {
	var found []Resource
	pages := ec2.NewDescribeInstancesPaginator(api, &ec2.DescribeInstancesInput{Filters: append(filters, types.Filter{
		Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"},
	})})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				r := Resource{Kind: Instance, ID: aws.ToString(i.InstanceId), Detail: string(i.InstanceType), Since: i.LaunchTime}
				if i.State != nil {
					r.State = string(i.State.Name)
				}
				found = append(found, r.labelled(tagged(i.Tags)))
			}
		}
	}
	return found, nil
}

func images(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	var found []Resource
	pages := ec2.NewDescribeImagesPaginator(api, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: filters, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, i := range page.Images {
			r := Resource{Kind: Image, ID: aws.ToString(i.ImageId), State: string(i.State), Detail: aws.ToString(i.Name)}
			if made, err := time.Parse(time.RFC3339, aws.ToString(i.CreationDate)); err == nil {
				r.Since = &made
			}
			found = append(found, r.labelled(tagged(i.Tags)))
		}
	}
	return found, nil
}

func snapshots(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	var found []Resource
	list, err := ListSnapshots(ctx, api, filters...)
	for _, s := range list {
		r := Resource{Kind: Snapshot, ID: aws.ToString(s.SnapshotId), State: string(s.State), Detail: gigabytes(s.VolumeSize, "volume"), Since: s.StartTime}
		found = append(found, r.labelled(tagged(s.Tags)))
	}
	return found, err
}

func volumes(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	var found []Resource
	pages := ec2.NewDescribeVolumesPaginator(api, &ec2.DescribeVolumesInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, v := range page.Volumes {
			r := Resource{Kind: Volume, ID: aws.ToString(v.VolumeId), State: string(v.State), Detail: gigabytes(v.Size, string(v.VolumeType)), Since: v.CreateTime}
			found = append(found, r.labelled(tagged(v.Tags)))
		}
	}
	return found, nil
}

func gigabytes(size *int32, of string) string {
	return fmt.Sprintf("%d GiB %s", aws.ToInt32(size), of)
}

func securityGroups(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	var found []Resource
	pages := ec2.NewDescribeSecurityGroupsPaginator(api, &ec2.DescribeSecurityGroupsInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, g := range page.SecurityGroups {
			r := Resource{Kind: SecurityGroup, ID: aws.ToString(g.GroupId), Detail: aws.ToString(g.GroupName)}
			found = append(found, r.labelled(tagged(g.Tags)))
		}
	}
	return found, nil
}

func keyPairs(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	out, err := api.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: filters})
	if err != nil {
		return nil, err
	}
	var found []Resource
	for _, k := range out.KeyPairs {
		r := Resource{Kind: KeyPair, ID: aws.ToString(k.KeyPairId), Detail: aws.ToString(k.KeyName), Since: k.CreateTime}
		found = append(found, r.labelled(tagged(k.Tags)))
	}
	return found, nil
}

// templateID is no filter of EC2: launchTemplates converts it to a parameter.
const templateID = "launch-template-id"

func launchTemplates(ctx context.Context, api API, filters []types.Filter) ([]Resource, error) {
	input := &ec2.DescribeLaunchTemplatesInput{Filters: filters}
	if aws.ToString(filters[0].Name) == templateID {
		input = &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: filters[0].Values}
	}
	var found []Resource
	pages := ec2.NewDescribeLaunchTemplatesPaginator(api, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsclient.IsNoTemplate(err) {
			return nil, nil
		}
		if err != nil {
			return found, err
		}
		for _, t := range page.LaunchTemplates {
			r := Resource{Kind: LaunchTemplate, ID: aws.ToString(t.LaunchTemplateId), Detail: aws.ToString(t.LaunchTemplateName), Since: t.CreateTime}
			found = append(found, r.labelled(tagged(t.Tags)))
		}
	}
	return found, nil
}
