// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pricing simulates the AWS Price List Query API in a rehearsal. Its prices are
// invented and affect only the reports of a build.
package pricing

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service is the price list.
type Service struct {
	// Offers lists all prices of instances, in any order.
	Offers func() []Offer
	// Regions lists the regions, which have prices of snapshots and transfers.
	Regions []string
}

// endpoints are the regions that have the Price List Query API
// (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
var endpoints = []string{"us-east-1", "eu-central-1", "ap-south-1"}

// largestPage is the number of products in a response
// (https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html).
const largestPage = 100

// Call serves one action in a region. The response is encoded by
// encoding/json; the error is always a *query.Error.
func (s Service) Call(region, action string, p query.Params) (any, error) {
	if !slices.Contains(endpoints, region) {
		return nil, &query.Error{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.", Status: 400}
	}
	if action != "GetProducts" {
		return nil, query.Errorf("UnknownOperationException", "The rehearsal does not support the action %s.", action)
	}
	var all []product
	switch code := p.Get("ServiceCode"); code {
	case computing:
		all = s.computing()
	case transferring:
		all = s.transfers()
	default:
		return nil, query.Errorf("NotFoundException", "Invalid service code: %s", code)
	}
	var found []product
	for _, one := range all {
		ok, err := passes(one, p.Items("Filters"))
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, one)
		}
	}
	return page(found, p)
}

// page returns the products of a page; a token is the number of products before it.
func page(found []product, p query.Params) (any, error) {
	most, err := p.Int("MaxResults", largestPage)
	if err != nil || most < 1 || most > largestPage {
		return nil, query.Errorf("InvalidParameterException", "MaxResults must be from 1 to %d.", largestPage)
	}
	first, err := p.Int("NextToken", 0)
	if err != nil || first < 0 || first > len(found) {
		return nil, query.Errorf("InvalidNextTokenException", "The pagination token is invalid.")
	}
	answer := struct {
		FormatVersion string
		PriceList     []string
		NextToken     string `json:",omitempty"`
	}{"aws_v1", []string{}, ""}
	last := min(first+most, len(found))
	for _, one := range found[first:last] {
		text, err := json.Marshal(one.encode())
		if err != nil {
			return nil, &query.Error{Code: "InternalErrorException", Message: err.Error(), Status: 500}
		}
		answer.PriceList = append(answer.PriceList, string(text))
	}
	if last < len(found) {
		answer.NextToken = strconv.Itoa(last)
	}
	return answer, nil
}

// passes reports whether a product passes every filter. Like in AWS, the match is
// case-insensitive.
func passes(p product, filters []query.Params) (bool, error) {
	for _, f := range filters {
		values := []string{f.Get("Value")}
		switch kind := f.Get("Type"); kind {
		case "TERM_MATCH", "EQUALS":
		case "ANY_OF":
			values = strings.Split(f.Get("Value"), ",")
		default:
			return false, query.Errorf("InvalidParameterException", "The rehearsal does not support filters of type %s.", kind)
		}
		has := p.attributes[f.Get("Field")]
		if f.Get("Field") == "productFamily" {
			has = p.family
		}
		if !slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(has, v) }) {
			return false, nil
		}
	}
	return true, nil
}
