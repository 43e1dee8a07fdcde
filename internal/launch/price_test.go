// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
)

type fakeList struct {
	products []string
	err      error
	asked    int
}

func (f *fakeList) GetProducts(context.Context, *pricing.GetProductsInput, ...func(*pricing.Options)) (*pricing.GetProductsOutput, error) {
	f.asked++
	return &pricing.GetProductsOutput{PriceList: f.products}, f.err
}

type fakeHistory struct {
	prices map[string]string // by "type zone"
	err    error
	asked  int
}

func (f *fakeHistory) DescribeSpotPriceHistory(_ context.Context, in *ec2.DescribeSpotPriceHistoryInput, _ ...func(*ec2.Options)) (*ec2.DescribeSpotPriceHistoryOutput, error) {
	f.asked++
	out := &ec2.DescribeSpotPriceHistoryOutput{}
	for _, zone := range []string{"a", "b"} {
		if p := f.prices[string(in.InstanceTypes[0])+" "+zone]; p != "" {
			for i, text := range []string{"9.99", p} { // an older one first
				out.SpotPriceHistory = append(out.SpotPriceHistory, ec2types.SpotPrice{
					InstanceType: in.InstanceTypes[0], AvailabilityZone: aws.String(zone), SpotPrice: aws.String(text), Timestamp: aws.Time(time.Unix(int64(i), 0)),
				})
			}
		}
	}
	return out, f.err
}

func product(unit, usd string) string {
	return `{"product": {"attributes": {"instanceType": "g4dn.xlarge"}}, "terms": {"OnDemand": {"S.T": {"priceDimensions": {"S.T.D": {"unit": "` + unit + `", "pricePerUnit": {"USD": "` + usd + `"}}}}}}}`
}

func TestPrices(t *testing.T) {
	denied := errors.New("AccessDeniedException")
	history := map[string]string{"g4dn.xlarge a": "0.20", "g4dn.xlarge b": "0.16"}
	for _, test := range []struct {
		name    string
		list    []string
		listErr error
		histErr error
		given   map[string]float64
		attempt Attempt
		want    Price
		err     string
	}{
		{"from the list", []string{product("Hrs", "0.5260000000")}, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{0.526, SourceList}, ""},
		{"a reservation has the on-demand price", []string{product("Hrs", "0.5260000000")}, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: Reservation}, Price{0.526, SourceList}, ""},
		{"the user's price wins", nil, denied, nil, map[string]float64{"g4dn.xlarge": 0.4}, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{0.4, SourceUser}, ""},
		{"the user's price of another type", nil, denied, nil, map[string]float64{"g5.xlarge": 0.4}, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{}, "AccessDenied"},
		{"not in the list", nil, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{}, "no price for g4dn.xlarge in eu-central-1"},
		{"an upfront fee is not an hourly price", []string{product("Quantity", "100")}, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{}, "no price for g4dn.xlarge"},
		{"the higher of two offers", []string{product("Hrs", "0.5"), product("Hrs", "0.6"), product("Hrs", "0.0")}, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{0.6, SourceList}, ""},
		{"an invalid list", []string{"<xml>"}, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: OnDemand}, Price{}, "reading the price list"},
		{"spot in a zone, the latest", nil, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: Spot, Place: Place{Zone: "b"}}, Price{0.16, SourceSpot}, ""},
		{"spot in a zone chosen by EC2: the highest", nil, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: Spot}, Price{0.20, SourceSpot}, ""},
		{"spot in a zone without a price", nil, nil, nil, nil, Attempt{Type: "g4dn.xlarge", Market: Spot, Place: Place{Zone: "c"}}, Price{}, "no spot price for g4dn.xlarge in c"},
		{"spot without permission", nil, nil, denied, nil, Attempt{Type: "g4dn.xlarge", Market: Spot}, Price{}, "AccessDenied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			list, hist := &fakeList{products: test.list, err: test.listErr}, &fakeHistory{prices: history, err: test.histErr}
			prices := &Prices{Given: test.given, Region: "eu-central-1", List: list, History: hist}
			for range 2 {
				got, err := prices.Of(t.Context(), test.attempt)
				if test.err == "" && (err != nil || got != test.want) || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
					t.Errorf("got %v, %v, want %v %s", got, err, test.want, test.err)
				}
			}
			if list.asked+hist.asked > 1 {
				t.Errorf("got %d requests for one price, want at most 1", list.asked+hist.asked)
			}
		})
	}
	if _, err := (&Prices{}).Of(t.Context(), Attempt{Type: "g4dn.xlarge", Market: OnDemand}); !errors.Is(err, ErrNoPriceList) {
		t.Errorf("without a price list: %v", err)
	}
}

func TestLimits(t *testing.T) {
	hour := Price{1.2, SourceList}
	for _, test := range []struct {
		name   string
		limits Limits
		want   string // "" if within the limits
	}{
		{"none", Limits{}, ""},
		{"exactly the price", Limits{PerHour: 1.2}, ""},
		{"less", Limits{PerHour: 1.19}, "costs $1.20 per hour (AWS Price List), more than $1.19"},
		{"exactly the cost", Limits{Build: 7.2, Time: 6 * time.Hour}, ""},
		{"above the cost", Limits{Build: 7, Time: 6 * time.Hour}, "could cost $7.20: $1.20 per hour (AWS Price List) x 6h0m0s of max_build_time, more than $7.00"},
		{"each restart adds cost", Limits{Build: 14, Time: 6 * time.Hour, Starts: 2}, "x 2 starts, more than $14.00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.limits.Refuse(hour)
			if test.want == "" != (r == nil) || r != nil && !strings.Contains(r.Reason, test.want) {
				t.Errorf("got %v, want %q", r, test.want)
			}
		})
	}
	if got := (Limits{PerHour: 0.5, Build: 1.2, Time: 6 * time.Hour}).PerHourAtMost(0.3); got < 0.1999 || got > 0.2001 {
		t.Errorf("got lowest of three limits %v, want 0.2", got)
	}
}
