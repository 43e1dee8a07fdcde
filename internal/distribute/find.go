// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
)

// Find returns the account's images in a region that match all filters, including
// disabled and deprecated ones.
func Find(ctx context.Context, client ec2.DescribeImagesAPIClient, filters map[string]string) ([]ec2types.Image, error) {
	input := &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true),
	}
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		input.Filters = append(input.Filters, ec2types.Filter{Name: aws.String(name), Values: []string{filters[name]}})
	}
	pages := ec2.NewDescribeImagesPaginator(client, input)
	var found []ec2types.Image
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing images: %w", err)
		}
		found = append(found, page.Images...)
	}
	return found, nil
}

// Describe returns one image of any owner.
func Describe(ctx context.Context, client ec2.DescribeImagesAPIClient, id string) (ec2types.Image, error) {
	out, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{
		ImageIds: []string{id}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true),
	})
	if err != nil {
		return ec2types.Image{}, err
	}
	if len(out.Images) == 0 {
		return ec2types.Image{}, fmt.Errorf("image %s does not exist", id)
	}
	return out.Images[0], nil
}

// Of converts EC2's description of an image. An available image has its snapshots.
func Of(region string, described ec2types.Image) Image {
	image := Image{Region: region, ID: aws.ToString(described.ImageId)}
	if described.State == ec2types.ImageStateAvailable {
		image.Snapshots = cleanup.SnapshotsOf(described)
	}
	image.Encrypted = cleanup.IsEncrypted(described)
	return image
}

// Reason returns EC2's reason for an image's state.
func Reason(image ec2types.Image) string { return reason(image.StateReason) }
