// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// The SDK reads the answers and errors of the JSON protocol.
func TestPrices(t *testing.T) {
	s := New(Config{Seed: "prices"})
	ask := func(region string, filters map[string]string) ([]string, error) {
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
		{"no such type", "us-east-1", map[string]string{"instanceType": "g9.xlarge"}, 0, ""},
		{"no such system", "us-east-1", map[string]string{"instanceType": "g4dn.xlarge", "operatingSystem": "Windows"}, 0, ""},
		{"not every region has the price list", "eu-west-1", nil, 0, "UnrecognizedClientException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			list, err := ask(test.region, test.filters)
			if ec2api.Code(err) != test.code || len(list) != test.found {
				t.Errorf("found %d, error %v, want %d and %q", len(list), err, test.found, test.code)
			}
		})
	}
	s.AddFault(Fault{Action: "GetProducts", Where: map[string]string{"Filters.1.Field": "instanceType"}, Code: "AccessDeniedException", Message: "no"})
	if _, err := ask("us-east-1", map[string]string{"instanceType": "g4dn.xlarge"}); ec2api.Code(err) != "AccessDeniedException" {
		t.Errorf("a fault that names a part of the request gave %v", err)
	}
	if n := s.Calls()["us-east-1"]["GetProducts"]; n == 0 {
		t.Error("the calls are not counted")
	}
}
