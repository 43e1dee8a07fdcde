// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpuoffers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/pricelist"
)

// EC2 holds the requests to EC2 in the region.
type EC2 interface {
	ec2.DescribeInstanceTypesAPIClient
	ec2.DescribeInstanceTypeOfferingsAPIClient
	ec2.DescribeSpotPriceHistoryAPIClient
}

// Source finds the offers of a region.
type Source struct {
	Region string
	EC2    EC2
	// List is AWS's price list; nil if not available.
	List pricing.GetProductsAPIClient
	// Given are the user's on-demand prices by type, in US dollars per hour.
	Given map[string]float64
	// Measured are the rates of earlier builds.
	Measured []Measurement
}

// Found are the selected offers, and notes on what is unknown.
type Found struct {
	Offers []Offer
	Notes  []string
}

// Find returns the offers that are wanted, in no order. Prices that AWS does not return are
// noted; without the types of the region, or without any selected offer, it returns an
// error.
func (s Source) Find(ctx context.Context, w Wanted) (Found, error) {
	all, err := s.offers(ctx)
	if err != nil {
		return Found{}, err
	}
	dropped := map[string]int{}
	keep := func(offers []Offer, refuses func(Offer) string) (kept []Offer) {
		for _, o := range offers {
			if why := refuses(o); why != "" {
				dropped[why]++
				continue
			}
			kept = append(kept, o)
		}
		return kept
	}
	var found Found
	if found.Offers = keep(all, w.refuses); len(found.Offers) > 0 {
		found.Notes = s.price(ctx, found.Offers)
		found.Offers = keep(found.Offers, w.tooExpensive)
	}
	if len(found.Offers) == 0 {
		return Found{}, none(s.Region, len(all), dropped, found.Notes)
	}
	return found, nil
}

// none returns the error of a selection without offers.
func none(region string, all int, dropped map[string]int, notes []string) error {
	if all == 0 {
		return fmt.Errorf("%s offers no GPU instance type that the plugin knows; choose another region", region)
	}
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(dropped)) {
		parts = append(parts, fmt.Sprintf("%d %s", dropped[why], why))
	}
	text := fmt.Sprintf("no GPU instance type in %s matches; of %d types, %s", region, all, strings.Join(parts, ", "))
	for _, note := range notes {
		text += "; " + note
	}
	return errors.New(text)
}

// offers returns the GPU types of the region that the catalog knows.
func (s Source) offers(ctx context.Context) ([]Offer, error) {
	types, err := s.types(ctx)
	if err != nil || len(types) == 0 {
		return nil, err
	}
	zones, err := s.zones(ctx, types)
	if err != nil {
		return nil, err
	}
	var offers []Offer
	for _, info := range types {
		entry, err := gpucatalog.Lookup(string(info.InstanceType))
		if err != nil {
			continue // cannot be: the request has the known families
		}
		o := Offer{
			Type: string(info.InstanceType), Architecture: string(ec2types.ArchitectureTypeX8664), GPU: entry.GPU, GPUs: entry.Count,
			MemoryMiB: int64(entry.MemoryGB * 1e9 / (1 << 20)), Zones: zones[string(info.InstanceType)],
		}
		if p := info.ProcessorInfo; p != nil && slices.Contains(p.SupportedArchitectures, ec2types.ArchitectureTypeArm64) {
			o.Architecture = string(ec2types.ArchitectureTypeArm64)
		}
		if v := info.VCpuInfo; v != nil {
			o.VCPUs = int(aws.ToInt32(v.DefaultVCpus))
		}
		if g := info.GpuInfo; g != nil && len(g.Gpus) > 0 { // EC2 knows better than the catalog
			o.GPUs = cmp.Or(int(aws.ToInt32(g.Gpus[0].Count)), o.GPUs)
			if m := g.Gpus[0].MemoryInfo; m != nil {
				o.MemoryMiB = cmp.Or(int64(aws.ToInt32(m.SizeInMiB)), o.MemoryMiB)
			}
		}
		o.expect(entry.PublishedMhs, s.Measured)
		offers = append(offers, o)
	}
	return offers, nil
}

// types returns the types of all known families.
func (s Source) types(ctx context.Context) (types []ec2types.InstanceTypeInfo, err error) {
	filter := ec2types.Filter{Name: aws.String("instance-type")}
	for _, family := range gpucatalog.Families() {
		filter.Values = append(filter.Values, family+".*")
	}
	pages := ec2.NewDescribeInstanceTypesPaginator(s.EC2, &ec2.DescribeInstanceTypesInput{Filters: []ec2types.Filter{filter}})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the GPU instance types of %s: %w", s.Region, awsclient.Plain(err))
		}
		types = append(types, out.InstanceTypes...)
	}
	return types, nil
}

// zones returns the zones that offer each of types.
func (s Source) zones(ctx context.Context, types []ec2types.InstanceTypeInfo) (map[string][]string, error) {
	zones := map[string][]string{}
	filter := ec2types.Filter{Name: aws.String("instance-type")}
	for _, info := range types {
		filter.Values = append(filter.Values, string(info.InstanceType))
	}
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(s.EC2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone, Filters: []ec2types.Filter{filter},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the zones of the GPU instance types in %s: %w", s.Region, awsclient.Plain(err))
		}
		for _, o := range out.InstanceTypeOfferings {
			zones[string(o.InstanceType)] = append(zones[string(o.InstanceType)], aws.ToString(o.Location))
		}
	}
	for _, list := range zones {
		slices.Sort(list)
	}
	return zones, nil
}

// price sets the prices of offers, and returns notes on unknown ones.
func (s Source) price(ctx context.Context, offers []Offer) (notes []string) {
	var names, unpriced []string
	for _, o := range offers {
		names = append(names, o.Type)
		if s.Given[o.Type] == 0 {
			unpriced = append(unpriced, o.Type)
		}
	}
	var listed map[string]float64
	var spot map[string]map[string]float64
	var listErr, spotErr error
	var wg sync.WaitGroup
	wg.Go(func() { listed, listErr = s.list(ctx, unpriced) })
	wg.Go(func() { spot, spotErr = launch.SpotPrices(ctx, s.EC2, time.Now(), names...) })
	wg.Wait()
	for i := range offers {
		o := &offers[i]
		o.OnDemand = cmp.Or(s.Given[o.Type], listed[o.Type])
		o.Spot = spot[o.Type]
	}
	for _, prices := range []struct {
		of, action string
		err        error
		known      func(Offer) bool
	}{
		{"on-demand", "pricing:GetProducts", listErr, func(o Offer) bool { return o.OnDemand > 0 }},
		{"spot", "ec2:DescribeSpotPriceHistory", spotErr, func(o Offer) bool { return len(o.Spot) > 0 }},
	} {
		var lacking []string
		for _, o := range offers {
			if !prices.known(o) {
				lacking = append(lacking, o.Type)
			}
		}
		switch {
		case len(lacking) == 0:
		case prices.err == nil:
			notes = append(notes, fmt.Sprintf("AWS returns no %s price of %s in %s", prices.of, strings.Join(lacking, ", "), s.Region))
		case awsclient.IsUnauthorized(prices.err):
			notes = append(notes, fmt.Sprintf("%s prices are unknown: allow %s", prices.of, prices.action))
		default:
			notes = append(notes, fmt.Sprintf("%s prices are unknown: %s", prices.of, awsclient.Plain(prices.err)))
		}
	}
	return notes
}

func (s Source) list(ctx context.Context, types []string) (map[string]float64, error) {
	switch {
	case len(types) == 0:
		return nil, nil
	case s.List == nil:
		return nil, launch.ErrNoPriceList
	}
	return pricelist.Instances(ctx, s.List, s.Region, pricelist.Shared, types...)
}
