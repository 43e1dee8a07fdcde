// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// The SDK decodes the responses and errors of the JSON protocol.
func TestPrices(t *testing.T) {
	s := New(Config{Seed: "prices"})
	request := func(region, service string, filters map[string]string) (found []string, err error) {
		in := &pricing.GetProductsInput{ServiceCode: &service}
		for field, value := range filters {
			f := pricingtypes.Filter{Field: aws.String(field), Type: pricingtypes.FilterTypeTermMatch, Value: aws.String(value)}
			if strings.Contains(value, ",") {
				f.Type = pricingtypes.FilterTypeAnyOf
			}
			in.Filters = append(in.Filters, f)
		}
		pages := pricing.NewGetProductsPaginator(pricing.NewFromConfig(s.AWSConfig(region)), in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			if err != nil {
				return nil, err
			}
			found = append(found, out.PriceList...)
		}
		return found, nil
	}
	regions := len(s.ec2.Regions())
	for _, test := range []struct {
		name    string
		region  string
		service string
		filters map[string]string
		found   int
		code    string
	}{
		{"one type in one region", "us-east-1", "AmazonEC2", map[string]string{"instanceType": "g4dn.xlarge", "regionCode": "eu-west-1", "operatingSystem": "linux"}, 1, ""},
		{"two types", "us-east-1", "AmazonEC2", map[string]string{"instanceType": "g4dn.xlarge,g5.xlarge,g9.xlarge", "regionCode": "eu-west-1"}, 2, ""},
		{"one type in all regions", "us-east-1", "AmazonEC2", map[string]string{"instanceType": "g4dn.xlarge"}, regions, ""},
		{"several pages", "us-east-1", "AmazonEC2", map[string]string{"productFamily": "Compute Instance", "instanceType": "g4dn.xlarge,g4dn.2xlarge,g5.xlarge,g5.2xlarge"}, 4 * regions, ""},
		{"snapshots, and archived ones", "us-east-1", "AmazonEC2", map[string]string{"productFamily": "Storage Snapshot", "regionCode": "us-east-1"}, 2, ""},
		{"transfers from a region", "us-east-1", "AWSDataTransfer", map[string]string{"fromRegionCode": "us-east-1"}, regions - 1, ""},
		{"unknown service", "us-east-1", "AmazonRDS", nil, 0, "NotFoundException"},
		{"unknown instance type", "us-east-1", "AmazonEC2", map[string]string{"instanceType": "g9.xlarge"}, 0, ""},
		{"unknown operating system", "us-east-1", "AmazonEC2", map[string]string{"instanceType": "g4dn.xlarge", "operatingSystem": "Windows"}, 0, ""},
		{"region without Price List API", "eu-west-1", "AmazonEC2", nil, 0, "UnrecognizedClientException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			list, err := request(test.region, test.service, test.filters)
			if awsclient.Code(err) != test.code || len(list) != test.found {
				t.Errorf("got %d prices and error %v, want %d and %q", len(list), err, test.found, test.code)
			}
		})
	}
	s.AddFault(Fault{Action: "GetProducts", Where: map[string]string{"Filters.1.Field": "instanceType"}, Code: "AccessDeniedException", Message: "no"})
	if _, err := request("us-east-1", "AmazonEC2", map[string]string{"instanceType": "g4dn.xlarge"}); awsclient.Code(err) != "AccessDeniedException" {
		t.Errorf("fault with a nested parameter: got %v", err)
	}
	if n := s.Calls()["us-east-1"]["GetProducts"]; n == 0 {
		t.Error("calls were not counted")
	}
}
