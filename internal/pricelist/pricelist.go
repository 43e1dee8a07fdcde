// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pricelist looks up prices in AWS's price list (pricing:GetProducts). All
// prices are on-demand prices in US dollars.
package pricelist

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
)

// Units of prices.
const (
	perHour    = "Hrs"
	perGBMonth = "GB-Mo"
	perGB      = "GB"
)

// Tenancies of instances.
const (
	Shared    = "Shared"
	Dedicated = "Dedicated" // single-tenant hardware
)

// Instances returns the prices per hour of instance types with Linux in a region.
// Types without a price are missing. Of several offers, the highest is the safe one.
func Instances(ctx context.Context, list pricing.GetProductsAPIClient, region, tenancy string, types ...string) (map[string]float64, error) {
	return lookUp(ctx, list, query{
		service: "AmazonEC2", unit: perHour, key: "instanceType",
		filters: map[string][]string{
			"instanceType": types, "regionCode": {region}, "operatingSystem": {"Linux"}, "tenancy": {tenancy},
			"preInstalledSw": {"NA"}, "capacitystatus": {"Used"},
		},
	})
}

// Snapshots returns the prices per GB and month of EBS snapshots by region.
func Snapshots(ctx context.Context, list pricing.GetProductsAPIClient, regions ...string) (map[string]float64, error) {
	return lookUp(ctx, list, query{
		service: "AmazonEC2", unit: perGBMonth, key: "regionCode",
		filters: map[string][]string{"productFamily": {"Storage Snapshot"}, "regionCode": regions},
		// The usage type begins with the region's short name, except in us-east-1. The
		// family also has archived snapshots and the fees of fast restores.
		only: func(attributes map[string]string) bool {
			usage := attributes["usagetype"]
			return usage == "EBS:SnapshotUsage" || strings.HasSuffix(usage, "-EBS:SnapshotUsage")
		},
	})
}

// Transfers returns the prices per GB of transfers from a region to others.
func Transfers(ctx context.Context, list pricing.GetProductsAPIClient, from string, to ...string) (map[string]float64, error) {
	return lookUp(ctx, list, query{
		service: "AWSDataTransfer", unit: perGB, key: "toRegionCode",
		filters: map[string][]string{"transferType": {"InterRegion Outbound"}, "fromRegionCode": {from}, "toRegionCode": to},
		only:    func(attributes map[string]string) bool { return attributes["operation"] == "" }, // others are of single services
	})
}

// query selects products.
type query struct {
	service string
	filters map[string][]string // values by attribute
	only    func(attributes map[string]string) bool
	unit    string
	key     string // the attribute by which the prices are returned
}

// mostValues is how many values a filter has, far below the limit of its length.
const mostValues = 20

// lookUp returns the prices of products, by an attribute of them.
func lookUp(ctx context.Context, list pricing.GetProductsAPIClient, q query) (map[string]float64, error) {
	found := map[string]float64{}
	for some := range slices.Chunk(q.filters[q.key], mostValues) {
		in := &pricing.GetProductsInput{ServiceCode: &q.service}
		for _, field := range slices.Sorted(maps.Keys(q.filters)) {
			values := q.filters[field]
			if field == q.key {
				values = some
			}
			in.Filters = append(in.Filters, filter(field, values))
		}
		pages := pricing.NewGetProductsPaginator(list, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, text := range out.PriceList {
				if err := q.take(found, text); err != nil {
					return nil, fmt.Errorf("reading the price list: %w", err)
				}
			}
		}
	}
	return found, nil
}

func filter(field string, values []string) pricingtypes.Filter {
	f := pricingtypes.Filter{Field: &field, Type: pricingtypes.FilterTypeTermMatch, Value: aws.String(strings.Join(values, ","))}
	if len(values) > 1 {
		f.Type = pricingtypes.FilterTypeAnyOf
	}
	return f
}

// take adds the price of a product, in the format of
// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html.
func (q query) take(found map[string]float64, text string) error {
	var p struct {
		Product struct {
			Attributes map[string]string `json:"attributes"`
		} `json:"product"`
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					Unit         string            `json:"unit"`
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			}
		} `json:"terms"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	if q.only != nil && !q.only(p.Product.Attributes) {
		return nil
	}
	for _, term := range p.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			usd, err := strconv.ParseFloat(d.PricePerUnit["USD"], 64)
			if key := p.Product.Attributes[q.key]; err == nil && usd > 0 && d.Unit == q.unit {
				found[key] = max(found[key], usd)
			}
		}
	}
	return nil
}
