// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package pricing

import (
	"fmt"
	"strings"
)

// Codes of the services with prices.
const (
	computing    = "AmazonEC2"
	transferring = "AWSDataTransfer"
)

// Invented prices of EBS snapshots per GB and month, and of transfers per GB.
const (
	snapshotUSD = 0.05
	archiveUSD  = 0.0125
	transferUSD = 0.02
)

// Offer is the on-demand price of one type in one region.
type Offer struct {
	Type, Region string
	USD          float64 // per hour
}

// product is a product with one on-demand price.
type product struct {
	service, family string
	attributes      map[string]string
	unit            string
	usd             float64
}

// computing returns the products of EC2.
func (s Service) computing() (all []product) {
	for _, o := range s.Offers() {
		all = append(all, product{computing, "Compute Instance", map[string]string{
			"instanceType": o.Type, "regionCode": o.Region, "operatingSystem": "Linux", "tenancy": "Shared",
			"preInstalledSw": "NA", "capacitystatus": "Used", "licenseModel": "No License required", "marketoption": "OnDemand", "operation": "RunInstances",
		}, "Hrs", o.USD})
	}
	for _, region := range s.Regions {
		for _, storage := range []struct {
			usage string
			usd   float64
		}{{"EBS:SnapshotUsage", snapshotUSD}, {"EBS:SnapshotArchiveStorage", archiveUSD}} {
			all = append(all, product{computing, "Storage Snapshot", map[string]string{
				"regionCode": region, "usagetype": short(region) + storage.usage, "storageMedia": "Amazon S3", "operation": "",
			}, "GB-Mo", storage.usd})
		}
	}
	return all
}

// transfers returns the products of transfers between regions.
func (s Service) transfers() (all []product) {
	for _, from := range s.Regions {
		for _, to := range s.Regions {
			if from == to {
				continue
			}
			all = append(all, product{transferring, "Data Transfer", map[string]string{
				"transferType": "InterRegion Outbound", "fromRegionCode": from, "toRegionCode": to,
				"usagetype": short(from) + short(to) + "AWS-Out-Bytes", "operation": "",
			}, "GB", transferUSD})
		}
	}
	return all
}

// short returns the prefix of a region's usage types. AWS's is shorter; it has none in
// us-east-1 either.
func short(region string) string {
	if region == "us-east-1" {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(region, "-", "")) + "-"
}

// encoded is an entry of PriceList.
type encoded struct {
	Product struct {
		Family     string            `json:"productFamily"`
		Attributes map[string]string `json:"attributes"`
		SKU        string            `json:"sku"`
	} `json:"product"`
	ServiceCode string `json:"serviceCode"`
	Terms       struct {
		OnDemand map[string]term
	} `json:"terms"`
}

type term struct {
	Dimensions map[string]dimension `json:"priceDimensions"`
	SKU        string               `json:"sku"`
	Code       string               `json:"offerTermCode"`
}

type dimension struct {
	Unit        string            `json:"unit"`
	Description string            `json:"description"`
	PerUnit     map[string]string `json:"pricePerUnit"`
}

// onDemandTerm and hourly are the codes of every on-demand price in AWS.
const onDemandTerm, hourly = "JRTCKXETXF", "6YS6EN2CT7"

func (p product) encode() encoded {
	var e encoded
	e.Product.Family, e.ServiceCode, e.Product.Attributes = p.family, p.service, p.attributes
	p.attributes["servicecode"] = p.service
	name := p.attributes["instanceType"] + p.attributes["usagetype"]
	e.Product.SKU = strings.ToUpper(strings.NewReplacer(".", "", "-", "", ":", "").Replace(name + p.attributes["regionCode"]))
	code := e.Product.SKU + "." + onDemandTerm
	e.Terms.OnDemand = map[string]term{code: {
		SKU: e.Product.SKU, Code: onDemandTerm,
		Dimensions: map[string]dimension{code + "." + hourly: {
			Unit: p.unit, Description: fmt.Sprintf("simulated: $%g per %s of %s", p.usd, p.unit, name),
			PerUnit: map[string]string{"USD": fmt.Sprintf("%.10f", p.usd)},
		}},
	}}
	return e
}
