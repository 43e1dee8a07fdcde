// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package estimate_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/estimate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// world returns the prices of a rehearsal: a g4dn.xlarge costs $0.60, or at most $0.252
// on spot, a g5.2xlarge $0.70, a GiB $0.05 per month and $0.02 per copy.
func world(t *testing.T, faults ...rehearsal.Fault) estimate.Prices {
	t.Helper()
	server := rehearsal.New(rehearsal.Config{Faults: faults})
	t.Cleanup(func() { _ = server.Close() })
	clients := awsclient.New(server.AWSConfig("eu-central-1"), "")
	return estimate.Prices{
		List: clients.Pricing(),
		Instances: func(region string) *launch.Prices {
			return &launch.Prices{Region: region, List: clients.Pricing(), History: clients.EC2(region)}
		},
	}
}

func instance(change func(*estimate.Instance)) []estimate.Instance {
	i := estimate.Instance{
		Name: "instance", Region: "eu-central-1", Types: []string{"g4dn.xlarge"}, Markets: []launch.Market{launch.OnDemand},
		Longest: 6 * time.Hour, Limit: "max_build_time", Count: 1,
	}
	if change != nil {
		change(&i)
	}
	return []estimate.Instance{i}
}

func image(to ...string) *estimate.Image {
	return &estimate.Image{GiB: func(context.Context) (int64, error) { return 8, nil }, From: "eu-central-1", To: to, Stored: append([]string{"eu-central-1"}, to...)}
}

func TestLines(t *testing.T) {
	denied := func(action string) rehearsal.Fault {
		return rehearsal.Fault{Action: action, Code: "AccessDeniedException", Message: "no"}
	}
	for _, test := range []struct {
		name   string
		build  estimate.Build
		faults []rehearsal.Fault
		want   string
	}{
		{"nothing", estimate.Build{}, nil, ``},
		{"an instance", estimate.Build{Instances: instance(nil)}, nil, `at most $3.60 for the build; volumes, addresses, requests and taxes are extra
instance: $3.60 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 6 h of max_build_time)`},
		{"two instances", estimate.Build{Instances: append(instance(nil), instance(func(i *estimate.Instance) {
			i.Name, i.Region, i.Longest, i.Limit = "launch test", "us-east-1", 30*time.Minute, ""
		})...)}, nil, `at most $3.90 for the build; volumes, addresses, requests and taxes are extra
instance: $3.60 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 6 h of max_build_time)
launch test: $0.30 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 30 min)`},
		{"the most expensive type and market, several launches", estimate.Build{Instances: instance(func(i *estimate.Instance) {
			i.Types, i.Markets, i.Count = append(i.Types, "g5.2xlarge"), append(i.Markets, launch.Spot, launch.Reservation), 3
		})}, nil, `at most $12.60 for the build; volumes, addresses, requests and taxes are extra
instance: $12.60 (g5.2xlarge, on-demand: $0.70 per hour by AWS Price List, 6 h of max_build_time x 3 launches)`},
		{"spot, in the most expensive zone", estimate.Build{Instances: instance(func(i *estimate.Instance) { i.Markets = []launch.Market{launch.Spot} })}, nil, `at most $1.51 for the build; volumes, addresses, requests and taxes are extra
instance: $1.51 (g4dn.xlarge, spot: $0.252 per hour by EC2 spot price history, 6 h of max_build_time)`},
		{"a type above the limit is not launched", estimate.Build{Instances: instance(func(i *estimate.Instance) {
			i.Types, i.Limits.PerHour = append(i.Types, "g5.2xlarge"), 0.65
		})}, nil, `at most $3.60 for the build; volumes, addresses, requests and taxes are extra
instance: $3.60 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 6 h of max_build_time)`},
		{"every type above the limit", estimate.Build{Instances: instance(func(i *estimate.Instance) { i.Limits.PerHour = 0.5 })}, nil, `at most $0.00 for the build; volumes, addresses, requests and taxes are extra
instance: $0.00 (not launched: every price is above the limit of $0.50 per hour)`},
		{"no limit of the time", estimate.Build{Instances: instance(func(i *estimate.Instance) { i.Longest = 0 })}, nil, `unknown for the build; volumes, addresses, requests and taxes are extra
instance: unknown: g4dn.xlarge, on-demand costs $0.60 per hour by AWS Price List, without a limit of the time; set max_build_time`},
		{"a capacity block", estimate.Build{Instances: instance(func(i *estimate.Instance) { i.Markets = []launch.Market{launch.CapacityBlock} })}, nil, `at most $0.00 for the build; volumes, addresses, requests and taxes are extra
instance: $0.00 (g4dn.xlarge, capacity-block: paid in advance with the capacity block)`},
		{"copies and snapshots", estimate.Build{Instances: instance(nil), Image: image("us-east-1", "us-west-2")}, nil, `at most $3.92 for the build, and at most $1.20 per month for the snapshots; volumes, addresses, requests and taxes are extra
instance: $3.60 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 6 h of max_build_time)
copies: $0.32 (up to 8 GiB each: $0.16 to us-east-1, us-west-2)
snapshots: $1.20 per month (up to 8 GiB each: $0.40 in eu-central-1, us-east-1, us-west-2)`},
		{"one region", estimate.Build{Image: image()}, nil, `at most $0.40 per month for the snapshots; volumes, addresses, requests and taxes are extra
snapshots: $0.40 per month (up to 8 GiB each: $0.40 in eu-central-1)`},
		{"a region without prices", estimate.Build{Image: image("us-east-1", "xx-nowhere-1")}, nil, `at most $0.16 for the build plus an unknown amount (copies), and at most $0.80 per month for the snapshots plus an unknown amount (snapshots); volumes, addresses, requests and taxes are extra
copies: $0.16 (up to 8 GiB each: $0.16 to us-east-1); unknown: AWS's price list has no price for xx-nowhere-1
snapshots: $0.80 per month (up to 8 GiB each: $0.40 in eu-central-1, us-east-1); unknown: AWS's price list has no price for xx-nowhere-1`},
		{"no permission for the list", estimate.Build{Instances: instance(func(i *estimate.Instance) { i.Markets = append(i.Markets, launch.Spot) }), Image: image("us-east-1")},
			[]rehearsal.Fault{denied("GetProducts")}, `at most $1.51 for the build plus an unknown amount (instance, copies), and unknown for the snapshots; volumes, addresses, requests and taxes are extra
instance: $1.51 (g4dn.xlarge, spot: $0.252 per hour by EC2 spot price history, 6 h of max_build_time); unknown: the price of g4dn.xlarge, on-demand (allow pricing:GetProducts)
copies: unknown: allow pricing:GetProducts
snapshots: unknown: allow pricing:GetProducts`},
		{"no permission for spot prices, but a limit", estimate.Build{Instances: instance(func(i *estimate.Instance) { i.Markets, i.Limits.PerHour = append(i.Markets, launch.Spot), 1 })},
			[]rehearsal.Fault{denied("DescribeSpotPriceHistory")}, `at most $3.60 for the build; volumes, addresses, requests and taxes are extra
instance: $3.60 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 6 h of max_build_time)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(test.build.Run(t.Context(), world(t, test.faults...)).Lines(), "\n")
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// silent is a price list that does not respond.
type silent struct{}

func (silent) GetProducts(ctx context.Context, _ *pricing.GetProductsInput, _ ...func(*pricing.Options)) (*pricing.GetProductsOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// An estimate ends with its context, with the prices that it has.
func TestSlowPrices(t *testing.T) {
	prices := world(t)
	prices.List = silent{}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := strings.Join(estimate.Build{Instances: instance(nil), Image: image("us-east-1")}.Run(ctx, prices).Lines(), "\n")
	if !regexp.MustCompile(`(?s)^at most \$3.60 for the build plus an unknown amount \(copies\), .*copies: unknown: no response in time\nsnapshots: unknown: no response in time$`).MatchString(got) {
		t.Errorf("got\n%s", got)
	}
}

// Without a price list or the size of the image, the reasons are named.
func TestUnknown(t *testing.T) {
	prices := world(t)
	unsized := image("us-east-1")
	unsized.GiB = func(context.Context) (int64, error) { return 0, errors.New("no source image") }
	got := strings.Join(estimate.Build{Image: unsized}.Run(t.Context(), prices).Lines(), "\n")
	if want := "copies: unknown: the size of the image (no source image)"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
	prices.List = nil
	got = strings.Join(estimate.Build{Image: image("us-east-1")}.Run(t.Context(), prices).Lines(), "\n")
	if want := "snapshots: unknown: AWS publishes no price list in US dollars for this region"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
}
