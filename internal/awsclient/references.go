// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// mostReferenced is the maximum number of images in a DescribeImageReferences request
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageReferences.html).
const mostReferenced = 10

// ImageReferences returns, by image, the ARNs of the account's resources that use
// it: instances, launch templates, parameters and recipes.
func (c *Clients) ImageReferences(ctx context.Context, region string, images []string) (map[string][]string, error) {
	found := map[string][]string{}
	for some := range slices.Chunk(images, mostReferenced) {
		pages := ec2.NewDescribeImageReferencesPaginator(c.EC2(region), &ec2.DescribeImageReferencesInput{
			ImageIds: some, IncludeAllResourceTypes: aws.Bool(true),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("DescribeImageReferences: %w", err)
			}
			for _, r := range page.ImageReferences {
				id := aws.ToString(r.ImageId)
				found[id] = append(found[id], aws.ToString(r.Arn))
			}
		}
	}
	return found, nil
}
