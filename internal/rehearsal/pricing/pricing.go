// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pricing simulates the AWS Price List Query API in a rehearsal. Its prices are
// invented and affect only the reports of a build.
package pricing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Offer is the on-demand price of one type in one region.
type Offer struct {
	Type, Region string
	USD          float64 // per hour
}

// Service is the price list.
type Service struct {
	// Offers lists all prices, in any order.
	Offers func() []Offer
}

// endpoints are the regions that have the Price List Query API
// (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
var endpoints = []string{"us-east-1", "eu-central-1", "ap-south-1"}

// Call serves one action in a region. The response is encoded by
// encoding/json; the error is always a *query.Error.
func (s Service) Call(region, action string, p query.Params) (any, error) {
	if !slices.Contains(endpoints, region) {
		return nil, &query.Error{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.", Status: 400}
	}
	if action != "GetProducts" {
		return nil, query.Errorf("UnknownOperationException", "The rehearsal does not support the action %s.", action)
	}
	if code := p.Get("ServiceCode"); code != "AmazonEC2" {
		return nil, query.Errorf("NotFoundException", "Invalid service code: %s", code)
	}
	answer := struct {
		FormatVersion string
		PriceList     []string
	}{"aws_v1", []string{}}
	for _, offer := range s.Offers() {
		product := productOf(offer)
		ok, err := passes(product.Product.Attributes, p.Items("Filters"))
		if err != nil {
			return nil, err
		}
		if ok {
			text, err := json.Marshal(product)
			if err != nil {
				return nil, &query.Error{Code: "InternalErrorException", Message: err.Error(), Status: 500}
			}
			answer.PriceList = append(answer.PriceList, string(text))
		}
	}
	return answer, nil
}

// passes reports whether attributes pass every filter. Like in AWS, the match is
// case-insensitive.
func passes(attributes map[string]string, filters []query.Params) (bool, error) {
	for _, f := range filters {
		if kind := f.Get("Type"); kind != "TERM_MATCH" && kind != "EQUALS" {
			return false, query.Errorf("InvalidParameterException", "The rehearsal does not support filters of type %s.", kind)
		}
		if !strings.EqualFold(attributes[f.Get("Field")], f.Get("Value")) {
			return false, nil
		}
	}
	return true, nil
}

// product is an entry of PriceList.
type product struct {
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

func productOf(o Offer) product {
	var p product
	p.Product.Family, p.ServiceCode = "Compute Instance", "AmazonEC2"
	p.Product.SKU = strings.ToUpper(strings.NewReplacer(".", "", "-", "").Replace(o.Type + o.Region))
	p.Product.Attributes = map[string]string{
		"servicecode": "AmazonEC2", "instanceType": o.Type, "regionCode": o.Region, "operatingSystem": "Linux", "tenancy": "Shared",
		"preInstalledSw": "NA", "capacitystatus": "Used", "licenseModel": "No License required", "marketoption": "OnDemand", "operation": "RunInstances",
	}
	name := p.Product.SKU + "." + onDemandTerm
	p.Terms.OnDemand = map[string]term{name: {
		SKU: p.Product.SKU, Code: onDemandTerm,
		Dimensions: map[string]dimension{name + "." + hourly: {
			Unit: "Hrs", Description: fmt.Sprintf("simulated: $%g per On Demand Linux %s Instance Hour", o.USD, o.Type),
			PerUnit: map[string]string{"USD": fmt.Sprintf("%.10f", o.USD)},
		}},
	}}
	return p
}
