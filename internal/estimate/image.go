// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package estimate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/pricelist"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// transfers returns the cost of copying the image to other regions.
func (i *Image) transfers(ctx context.Context, prices Prices) item {
	found := item{name: "copies"}
	i.charge(ctx, &found, i.To, "to", func() (map[string]float64, error) {
		if prices.List == nil {
			return nil, launch.ErrNoPriceList
		}
		return pricelist.Transfers(ctx, prices.List, i.From, i.To...)
	})
	return found
}

// snapshots returns the cost of storing the images for a month.
func (i *Image) snapshots(ctx context.Context, prices Prices) item {
	found := item{name: "snapshots", monthly: true}
	i.charge(ctx, &found, i.Stored, "in", func() (map[string]float64, error) {
		if prices.List == nil {
			return nil, launch.ErrNoPriceList
		}
		return pricelist.Snapshots(ctx, prices.List, slices.Compact(slices.Sorted(slices.Values(i.Stored)))...)
	})
	return found
}

// charge adds the price of the image's size for each of regions to an item.
func (i *Image) charge(ctx context.Context, found *item, regions []string, where string, request func() (map[string]float64, error)) {
	perGiB, err := request()
	if err != nil {
		found.unknown = reason(ctx, err, listAction)
		return
	}
	size, err := i.GiB(ctx)
	if err != nil {
		found.unknown = "the size of the image (" + reason(ctx, err, "ec2:DescribeImages") + ")"
		return
	}
	var lacking []string
	charged := map[float64][]string{} // regions by cost
	for _, region := range slices.Sorted(slices.Values(regions)) {
		usd, ok := perGiB[region]
		if !ok {
			lacking = append(lacking, region)
			continue
		}
		cost := usd * float64(size)
		charged[cost] = append(charged[cost], region)
		found.usd += cost
	}
	if len(lacking) > 0 {
		found.unknown = "AWS's price list has no price for " + strings.Join(lacking, ", ")
	}
	var parts []string
	for _, cost := range slices.Sorted(maps.Keys(charged)) {
		parts = append(parts, fmt.Sprintf("%s %s %s", usd.Price(cost), where, strings.Join(charged[cost], ", ")))
	}
	if len(parts) > 0 {
		found.how = fmt.Sprintf("up to %d GiB each: %s", size, strings.Join(parts, "; "))
	}
}
