// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// imageName checks that no image of the account has the name in any region.
func (p *plan) imageName(ctx context.Context, n *notes) {
	var mu sync.Mutex
	var denied []outcome
	p.inRegions(n, func(region string, n *notes) {
		if p.Has[region] {
			return
		}
		image, err := named(ctx, p.cloud.EC2(region), p.ImageName)
		switch {
		case awsclient.IsUnauthorized(err):
			mu.Lock()
			denied = append(denied, deniedImages(region, err))
			mu.Unlock()
		case err != nil: // a region that does not respond now cannot get an image later
			n.find(Finding{
				Attribute: "ami_regions", Value: fmt.Sprintf("listing the images in %s failed (%s)", region, silence(err)),
				Expected: "a reachable region that the account has opted in to", Remedy: tryAgain,
			})
		case image != nil:
			user, remedy := aws.ToString(image.ImageId), "remove ami_name for a new name each time, choose another, or set force_deregister"
			if image.State != ec2types.ImageStateAvailable {
				user += fmt.Sprintf(" (%s)", image.State)
			}
			if ofBuild(*image, p.BuildID) { // AWS listed it after the build had looked for its images
				user, remedy = user+", an image of this build", "run the same build again with its build_id"
			}
			n.find(Finding{
				Attribute: "ami_name", Value: fmt.Sprintf("got %q, which is in use in %s by %s", p.ImageName, region, user), Remedy: remedy,
			})
		}
	})
	slices.SortFunc(denied, func(a, b outcome) int { return strings.Compare(a.Region, b.Region) })
	n.find(judgeDryRuns(denied)...)
}

// deniedImages is a denied listing of the images of a region. A build lists them for
// every image that it waits for.
func deniedImages(region string, err error) outcome {
	return outcome{DryRun: DryRun{Action: "ec2:DescribeImages", Region: region}, err: err}
}

// ofBuild returns whether an image has the tag of a build.
func ofBuild(image ec2types.Image, buildID string) bool {
	return slices.ContainsFunc(image.Tags, func(t ec2types.Tag) bool {
		return aws.ToString(t.Key) == tags.BuildID && aws.ToString(t.Value) == buildID
	})
}

// named returns the account's image of a name, or nil. Disabled images keep their
// names.
func named(ctx context.Context, client ec2.DescribeImagesAPIClient, name string) (*ec2types.Image, error) {
	pages := ec2.NewDescribeImagesPaginator(client, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true),
		Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{name}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if len(page.Images) > 0 {
			return &page.Images[0], nil
		}
	}
	return nil, nil
}
