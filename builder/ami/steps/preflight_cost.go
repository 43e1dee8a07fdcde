// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/estimate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
)

// cost returns what the build pays for. has contains the regions whose image exists.
func (b *Build) cost(has map[string]bool) (cost estimate.Build) {
	c, home := b.Config, b.Clients.Region()
	limits := c.Limits()
	add := func(i estimate.Instance) {
		if c.InstanceTenancy() != ec2types.TenancyHost { // AWS bills the host, not its instances
			i.Limits = limits
			cost.Instances = append(cost.Instances, i)
		}
	}
	if !b.Sourced {
		add(estimate.Instance{
			Name: preflight.BuildInstance, Region: home, Types: c.InstanceTypes, Markets: c.MarketList(),
			Longest: c.MaxBuildTime, Limit: "max_build_time", Count: limits.Starts,
		})
	}
	if c.SkipCreateAMI {
		return cost
	}
	for _, region := range c.TestedRegions(home) {
		add(estimate.Instance{
			Name: "launch test in " + region, Region: region, Types: c.TestTypes(""), Markets: c.TestMarkets(region == home),
			Longest: c.LaunchTest.Timeout(), Limit: "launch_test.timeout", Count: 1,
		})
	}
	image := &estimate.Image{From: home, Stored: c.ImageRegions(home)}
	if b.Sourced {
		image.From = b.image.Region
		image.GiB = b.imageGiB
	}
	for _, region := range image.Stored {
		if region != image.From && !has[region] {
			image.To = append(image.To, region)
		}
	}
	for _, a := range c.AMIAccounts { // they copy within the region
		image.Stored = append(image.Stored, c.RegionsOf(a, home)...)
	}
	cost.Image = image
	return cost
}

// imageGiB returns the size of an image that exists.
func (b *Build) imageGiB(ctx context.Context) (int64, error) {
	out, err := b.Clients.EC2(b.image.Region).DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{b.image.ID}}, awsclient.FewTries)
	if err != nil {
		return 0, err
	}
	if len(out.Images) == 0 {
		return 0, fmt.Errorf("%s is not in %s", b.image.ID, b.image.Region)
	}
	return preflight.VolumesGiB(out.Images[0], nil), nil
}

// priceSources returns the sources of the estimate's prices.
func (b *Build) priceSources() estimate.Prices {
	sources := estimate.Prices{Instances: func(region string) *launch.Prices { return b.Config.PriceList(b.Clients, region) }}
	if list := b.Clients.Pricing(); list != nil {
		sources.List = list
	}
	return sources
}

// sayCost prints the estimate.
func (b *Build) sayCost(ui packersdk.Ui, e estimate.Estimate) {
	lines := e.Lines()
	if len(lines) == 0 {
		return
	}
	title := "Estimated cost: "
	if b.Config.Rehearsal {
		title = "Estimated cost (simulated prices): "
	}
	ui.Say(title + strings.Join(lines, "\n  "))
}
