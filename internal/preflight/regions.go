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

// askRegions checks that every region of an image exists and is opted in to,
// and returns those, as nothing can be asked in others.
func (p *plan) askRegions(ctx context.Context, n *notes) ([]string, error) {
	if p.SkipRegions || len(p.ImageRegions) == 0 {
		return p.ImageRegions, nil
	}
	out, err := p.home.DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)})
	switch {
	case ec2api.IsUnauthorized(err):
		n.gap("the regions' names and whether the account has opted in to them", "ec2:DescribeRegions", err)
		return p.ImageRegions, nil
	case ec2api.IsBadCredentials(err) && p.cloud.Identity != nil:
		n.find(badCredentials(err))
		return nil, err
	case err != nil:
		n.find(Finding{
			Attribute: "region", Value: fmt.Sprintf("%q does not answer (%s)", p.BuildRegion, ec2api.Plain(err)),
			Expected: "a region that exists and that the account has opted in to, and credentials that are valid there",
		})
		return nil, err
	}
	good, findings := judgeRegions(p.ImageRegions, out.Regions)
	n.find(findings...)
	return good, nil
}

func judgeRegions(wanted []string, known []ec2types.Region) (good []string, findings []Finding) {
	status := map[string]string{}
	for _, region := range known {
		status[aws.ToString(region.RegionName)] = aws.ToString(region.OptInStatus)
	}
	for _, region := range wanted {
		switch optIn, exists := status[region]; {
		case !exists:
			findings = append(findings, Finding{
				Attribute: "ami_regions", Value: fmt.Sprintf("AWS knows no region %q for this account", region),
				Expected: "one of its partition", Remedy: "aws ec2 describe-regions --all-regions lists them",
			})
		case optIn == "not-opted-in":
			findings = append(findings, Finding{
				Attribute: "ami_regions", Value: fmt.Sprintf("the account has not opted in to %q", region),
				Remedy: fmt.Sprintf("enable it (aws account enable-region --region-name %s) or leave it out", region),
			})
		default:
			good = append(good, region)
		}
	}
	return good, findings
}
