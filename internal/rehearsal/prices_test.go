// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// The SDK decodes the responses and errors of the JSON protocol.
func TestPrices(t *testing.T) {
	s := New(Config{Seed: "prices"})
	request := func(region string, filters map[string]string) ([]string, error) {
		in := &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2")}
		for field, value := range filters {
			in.Filters = append(in.Filters, pricingtypes.Filter{
				Field: aws.String(field), Type: pricingtypes.FilterTypeTermMatch, Value: aws.String(value),
			})
		}
		out, err := pricing.NewFromConfig(s.AWSConfig(region)).GetProducts(t.Context(), in)
		if err != nil {
			return nil, err
		}
		return out.PriceList, nil
	}
	for _, test := range []struct {
		name    string
		region  string
		filters map[string]string
		found   int
		code    string
	}{
		{"one type in one region", "us-east-1", map[string]string{"instanceType": "g4dn.xlarge", "regionCode": "eu-west-1", "operatingSystem": "linux"}, 1, ""},
		{"unknown instance type", "us-east-1", map[string]string{"instanceType": "g9.xlarge"}, 0, ""},
		{"unknown operating system", "us-east-1", map[string]string{"instanceType": "g4dn.xlarge", "operatingSystem": "Windows"}, 0, ""},
		{"region without Price List API", "eu-west-1", nil, 0, "UnrecognizedClientException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			list, err := request(test.region, test.filters)
			if awsclient.Code(err) != test.code || len(list) != test.found {
				t.Errorf("got %d prices and error %v, want %d and %q", len(list), err, test.found, test.code)
			}
		})
	}
	s.AddFault(Fault{Action: "GetProducts", Where: map[string]string{"Filters.1.Field": "instanceType"}, Code: "AccessDeniedException", Message: "no"})
	if _, err := request("us-east-1", map[string]string{"instanceType": "g4dn.xlarge"}); awsclient.Code(err) != "AccessDeniedException" {
		t.Errorf("fault with a nested parameter: got %v", err)
	}
	if n := s.Calls()["us-east-1"]["GetProducts"]; n == 0 {
		t.Error("calls were not counted")
	}
}
