// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// finder asks EC2 for the resources of a kind that pass the filters.
type finder struct {
	kind ledger.Kind
	by   string // the filter that takes an id
	find func(context.Context, API, []types.Filter) ([]Resource, error)
}

// finders are in the order in which resources can be removed.
var finders = []finder{
	{ledger.Instance, "instance-id", instances},
	{ledger.Image, "image-id", images},
	{ledger.Snapshot, "snapshot-id", snapshots},
	{ledger.Volume, "volume-id", volumes},
	{ledger.SecurityGroup, "group-id", securityGroups},
	{ledger.KeyPair, "key-pair-id", keyPairs},
}

// Find returns what is to be swept of a region, in the order of removal. What
// it could not look for is in the error; the rest is returned all the same.
func Find(ctx context.Context, api API, region string, choice Choice, now time.Time) ([]Resource, error) {
	filter := types.Filter{Name: aws.String("tag-key"), Values: []string{tags.BuildID}}
	if choice.BuildID != "" {
		filter = types.Filter{Name: aws.String("tag:" + tags.BuildID), Values: []string{choice.BuildID}}
	}
	var found []Resource
	var failures []error
	for _, f := range finders {
		all, err := f.find(ctx, api, []types.Filter{filter})
		if err != nil {
			failures = append(failures, fmt.Errorf("looking for each %s in %s: %w", f.kind, region, err))
		}
		for _, r := range all {
			r.Region = region
			if choice.takes(r, now) {
				found = append(found, r)
			}
		}
	}
	return found, errors.Join(failures...)
}

// Instances returns the instances of builds in a region that are still there,
// those of living builds too. It makes one call for each 1000.
func Instances(ctx context.Context, api ec2.DescribeInstancesAPIClient, region string) ([]Resource, error) {
	found, err := describeInstances(ctx, api, []types.Filter{{Name: aws.String("tag-key"), Values: []string{tags.BuildID}}})
	for i := range found {
		found[i].Region = region
	}
	return found, err
}

// again returns the resource as it is now, or false if it is gone.
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

// tagged looks tags up.
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
				r := Resource{Kind: ledger.Instance, ID: aws.ToString(i.InstanceId), Detail: string(i.InstanceType), Since: i.LaunchTime}
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
			r := Resource{Kind: ledger.Image, ID: aws.ToString(i.ImageId), State: string(i.State), Detail: aws.ToString(i.Name)}
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
	pages := ec2.NewDescribeSnapshotsPaginator(api, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, s := range page.Snapshots {
			r := Resource{Kind: ledger.Snapshot, ID: aws.ToString(s.SnapshotId), State: string(s.State), Detail: gigabytes(s.VolumeSize, "volume"), Since: s.StartTime}
			found = append(found, r.labelled(tagged(s.Tags)))
		}
	}
	return found, nil
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
			r := Resource{Kind: ledger.Volume, ID: aws.ToString(v.VolumeId), State: string(v.State), Detail: gigabytes(v.Size, string(v.VolumeType)), Since: v.CreateTime}
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
			r := Resource{Kind: ledger.SecurityGroup, ID: aws.ToString(g.GroupId), Detail: aws.ToString(g.GroupName)}
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
		r := Resource{Kind: ledger.KeyPair, ID: aws.ToString(k.KeyPairId), Detail: aws.ToString(k.KeyName), Since: k.CreateTime}
		found = append(found, r.labelled(tagged(k.Tags)))
	}
	return found, nil
}
