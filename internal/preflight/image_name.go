// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// imageName checks that no image of the account has the name, in any region.
func (p *plan) imageName(ctx context.Context, n *notes) {
	p.inRegions(n, func(region string, n *notes) {
		if p.Has[region] {
			return
		}
		out, err := p.cloud.EC2(region).DescribeImages(ctx, &ec2.DescribeImagesInput{
			Owners:  []string{"self"},
			Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{p.ImageName}}},
		})
		switch {
		case ec2api.IsUnauthorized(err):
			n.gap("whether ami_name is free", "ec2:DescribeImages", err)
		case err != nil: // what does not answer now will not take an image either
			n.find(Finding{
				Attribute: "ami_regions", Value: fmt.Sprintf("%s does not say which images it has (%s)", region, ec2api.Plain(err)),
				Expected: "a region that the account has opted in to and that can be reached",
			})
		case len(out.Images) > 0:
			n.find(Finding{
				Attribute: "ami_name", Value: fmt.Sprintf("%q is taken in %s by %s", p.ImageName, region, aws.ToString(out.Images[0].ImageId)),
				Remedy: "choose another name (\"ethminer-{{timestamp}}\" is always new), or set force_deregister",
			})
		}
	})
}
