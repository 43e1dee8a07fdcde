// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package pricelist_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/pricelist"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// list is a price list with products in one response.
type list []string

func (l list) GetProducts(context.Context, *pricing.GetProductsInput, ...func(*pricing.Options)) (*pricing.GetProductsOutput, error) {
	return &pricing.GetProductsOutput{PriceList: l}, nil
}

// product returns a product in AWS's format, with attributes such as "a=b".
func product(unit, usd string, attributes ...string) string {
	var pairs []string
	for _, a := range attributes {
		name, value, _ := strings.Cut(a, "=")
		pairs = append(pairs, fmt.Sprintf("%q: %q", name, value))
	}
	return fmt.Sprintf(`{"product": {"productFamily": "F", "attributes": {%s}, "sku": "S"},
		"terms": {"OnDemand": {"S.T": {"priceDimensions": {"S.T.D": {"unit": %q, "beginRange": "0", "pricePerUnit": {"USD": %q}}}}},
		"Reserved": {"S.R": {"priceDimensions": {"S.R.D": {"unit": %q, "pricePerUnit": {"USD": "99"}}}}}}, "version": "20260101000000"}`, strings.Join(pairs, ","), unit, usd, unit)
}

func TestSelection(t *testing.T) {
	snapshots := list{
		product("GB-Mo", "0.0540000000", "regionCode=eu-central-1", "usagetype=EUC1-EBS:SnapshotUsage", "operation="),
		product("GB-Mo", "0.0500000000", "regionCode=us-east-1", "usagetype=EBS:SnapshotUsage"),
		product("GB-Mo", "0.0125000000", "regionCode=us-east-1", "usagetype=EBS:SnapshotArchiveStorage"),
		product("GB-Mo", "0.7000000000", "regionCode=us-east-1", "usagetype=EBS:SnapshotUsageUnderBilling"),
		product("Hrs", "0.7500000000", "regionCode=us-east-1", "usagetype=EBS:FastSnapshotRestore"),
	}
	if got, err := pricelist.Snapshots(t.Context(), snapshots, "eu-central-1", "us-east-1"); err != nil || !maps.Equal(got, map[string]float64{"eu-central-1": 0.054, "us-east-1": 0.05}) {
		t.Errorf("snapshots: got %v, %v", got, err)
	}
	transfers := list{
		product("GB", "0.0200000000", "toRegionCode=us-east-1", "operation="),
		product("GB", "0.0900000000", "toRegionCode=us-east-1", "operation=SomeService"),
		product("GB", "0.0000000000", "toRegionCode=us-west-2", "operation="),
	}
	if got, err := pricelist.Transfers(t.Context(), transfers, "eu-central-1", "us-east-1", "us-west-2"); err != nil || !maps.Equal(got, map[string]float64{"us-east-1": 0.02}) {
		t.Errorf("transfers: got %v, %v", got, err)
	}
	if _, err := pricelist.Instances(t.Context(), list{"<xml>"}, "eu-central-1", pricelist.Shared, "g4dn.xlarge"); err == nil || !strings.Contains(err.Error(), "reading the price list") {
		t.Errorf("an invalid list: %v", err)
	}
}

// The requests work with the SDK and a server that filters and pages.
func TestRequests(t *testing.T) {
	cloud := rehearsal.New(rehearsal.Config{})
	client := pricing.NewFromConfig(cloud.AWSConfig("us-east-1"))
	types := []string{"g4dn.xlarge", "g5.xlarge"}
	for i := range 30 { // more values than a filter has
		types = append(types, fmt.Sprintf("unknown%d.xlarge", i))
	}
	got, err := pricelist.Instances(t.Context(), client, "eu-central-1", pricelist.Shared, types...)
	if err != nil || len(got) != 2 || got["g5.xlarge"] <= 0 {
		t.Errorf("instances: got %v, %v", got, err)
	}
	if got, err := pricelist.Instances(t.Context(), client, "eu-central-1", pricelist.Dedicated, "g5.xlarge"); err != nil || len(got) != 0 {
		t.Errorf("dedicated: got %v, %v", got, err)
	}
	if n := cloud.Calls()["us-east-1"]["GetProducts"]; n != 3 {
		t.Errorf("got %d requests, want 2 for many types and 1 for one", n)
	}
	if got, err := pricelist.Snapshots(t.Context(), client, "eu-central-1"); err != nil || len(got) != 1 {
		t.Errorf("snapshots: got %v, %v", got, err)
	}
	if got, err := pricelist.Transfers(t.Context(), client, "eu-central-1", "us-east-1", "us-west-2", "eu-central-1"); err != nil || len(got) != 2 {
		t.Errorf("transfers: got %v, %v", got, err)
	}
	cloud.AddFault(rehearsal.Fault{Action: "GetProducts", Code: "AccessDeniedException"})
	if _, err := pricelist.Snapshots(t.Context(), client, "us-east-1"); awsclient.Code(err) != "AccessDeniedException" {
		t.Errorf("without permission: %v", err)
	}
}
