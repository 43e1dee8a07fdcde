// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package preflight finds out what would make a build fail, before anything
// is created or paid for.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// regionSyntax is what every region's name has looked like so far, the
// partitions' included: us-east-1, us-gov-west-1, cn-north-1, eusc-de-east-1.
// There is no list of names here: AWS adds regions.
var regionSyntax = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)

// unknown is what Packer passes to Prepare for a value that it cannot know at
// validate time, such as a data source's.
const unknown = "<unknown>"

// RegionSyntax says what is wrong with a region's name, without asking AWS.
func RegionSyntax(attribute, region string) error {
	if region == unknown || regionSyntax.MatchString(region) {
		return nil
	}
	return fmt.Errorf("%s: %q is no region name; expected one such as \"us-east-1\" or \"eu-central-1\"", attribute, region)
}

// API is what the checks need of a region.
type API interface {
	ec2.DescribeImagesAPIClient
	DescribeRegions(context.Context, *ec2.DescribeRegionsInput, ...func(*ec2.Options)) (*ec2.DescribeRegionsOutput, error)
}

// Checks is what a build wants of AWS.
type Checks struct {
	// BuildRegion is where the instance runs.
	BuildRegion string
	// ImageRegions will hold an image each.
	ImageRegions []string
	// SkipRegions trusts the names (skip_region_validation).
	SkipRegions bool
	// ImageName must be free in each of them; empty skips the check.
	ImageName string
	// Has are the regions that have their image already, so that its name is
	// taken by itself.
	Has map[string]bool
}

// Run makes all checks and returns all findings as one error. The names are
// looked up in all regions at once.
func (c Checks) Run(ctx context.Context, client func(region string) API) error {
	if !c.SkipRegions {
		if err := c.regions(ctx, client(c.BuildRegion)); err != nil {
			return err // an unknown region cannot be asked for names
		}
	}
	findings := make([]error, len(c.ImageRegions))
	var wg sync.WaitGroup
	for i, region := range c.ImageRegions {
		wg.Go(func() { findings[i] = c.nameFree(ctx, client(region), region) })
	}
	wg.Wait()
	return errors.Join(findings...)
}

// regions checks that every region exists and is opted in to.
func (c Checks) regions(ctx context.Context, client API) error {
	out, err := client.DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)})
	if err != nil {
		return fmt.Errorf("region: %q does not answer; expected a region that exists and that the account has opted in to, "+
			"and credentials that are valid there: %w", c.BuildRegion, err)
	}
	optedIn := map[string]string{}
	for _, region := range out.Regions {
		optedIn[aws.ToString(region.RegionName)] = aws.ToString(region.OptInStatus)
	}
	var findings []error
	for _, region := range c.ImageRegions {
		switch status, exists := optedIn[region]; {
		case !exists:
			findings = append(findings, fmt.Errorf("ami_regions: AWS knows no region %q for this account; "+
				"expected one of its partition (aws ec2 describe-regions --all-regions lists them)", region))
		case status == "not-opted-in":
			findings = append(findings, fmt.Errorf("ami_regions: the account has not opted in to %q; "+
				"enable it (aws account enable-region --region-name %s) or leave it out", region, region))
		}
	}
	return errors.Join(findings...)
}

// nameFree checks that no image of the account has the name in a region.
func (c Checks) nameFree(ctx context.Context, client API, region string) error {
	if c.ImageName == "" || c.Has[region] {
		return nil
	}
	out, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners:  []string{"self"},
		Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{c.ImageName}}},
	})
	if err != nil {
		return fmt.Errorf("looking for images named %q in %s: %w", c.ImageName, region, err)
	}
	if len(out.Images) > 0 {
		return fmt.Errorf("ami_name: %q is taken in %s by %s; choose another name "+
			"(\"ethminer-{{timestamp}}\" is always new), or set force_deregister",
			c.ImageName, region, aws.ToString(out.Images[0].ImageId))
	}
	return nil
}
