// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/pricelist"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// Price is the price of an instance.
type Price struct {
	USD    float64 // per hour
	Source string  // one of the Source constants
}

// Sources of prices. No price is built into the plugin.
const (
	SourceUser = "prices" // the option
	SourceList = "AWS Price List"
	SourceSpot = "EC2 spot price history"
	// SourceBlock means that the instance adds nothing to the price of its capacity
	// block, which EC2 does not return.
	SourceBlock = "paid in advance with the capacity block"
)

// Prices looks up prices and caches them. It is not safe for concurrent use.
type Prices struct {
	// Given are the user's on-demand prices by type.
	Given  map[string]float64
	Region string
	// Dedicated requests the prices of single-tenant hardware.
	Dedicated bool
	// List is AWS's price list; nil if not available.
	List pricing.GetProductsAPIClient
	// History is the spot price history.
	History ec2.DescribeSpotPriceHistoryAPIClient
	// Now is time.Now unless set.
	Now func() time.Time

	onDemand map[string]answer
	spot     map[string]answer // by type; contains the zones
}

type answer struct {
	usd   float64
	zones map[string]float64
	err   error
}

// ErrNoPriceList is returned if AWS publishes no prices in US dollars.
var ErrNoPriceList = errors.New("AWS publishes no price list in US dollars for this region")

// Of returns the price of an attempt, 0 in a capacity block, as that is paid in advance.
// A reservation costs the on-demand price, used or
// not. If EC2 chooses the zone, the spot price is the highest of all zones.
func (p *Prices) Of(ctx context.Context, r Attempt) (Price, error) {
	if r.Market == CapacityBlock {
		return Price{0, SourceBlock}, nil
	}
	if r.Market == Spot {
		zones, err := p.Zones(ctx, r.Type)
		if err != nil {
			return Price{}, err
		}
		if r.Place.Zone != "" {
			usd, ok := zones[r.Place.Zone]
			if !ok {
				return Price{}, fmt.Errorf("EC2 has no spot price for %s in %s", r.Type, r.Place.Zone)
			}
			return Price{usd, SourceSpot}, nil
		}
		dearest := 0.0
		for _, usd := range zones {
			dearest = max(dearest, usd)
		}
		return Price{dearest, SourceSpot}, nil
	}
	if usd, ok := p.Given[r.Type]; ok {
		return Price{usd, SourceUser}, nil
	}
	a, asked := p.onDemand[r.Type]
	if !asked {
		a.usd, a.err = p.list(ctx, r.Type)
		if p.onDemand == nil {
			p.onDemand = map[string]answer{}
		}
		p.onDemand[r.Type] = a
	}
	return Price{a.usd, SourceList}, a.err
}

// list looks up a type's on-demand price for Linux in AWS's price list.
func (p *Prices) list(ctx context.Context, instanceType string) (float64, error) {
	if p.List == nil {
		return 0, ErrNoPriceList
	}
	tenancy := pricelist.Shared
	if p.Dedicated {
		tenancy = pricelist.Dedicated
	}
	found, err := pricelist.Instances(ctx, p.List, p.Region, tenancy, instanceType)
	if err != nil {
		return 0, err
	}
	if found[instanceType] == 0 {
		return 0, fmt.Errorf("AWS's price list has no price for %s in %s", instanceType, p.Region)
	}
	return found[instanceType], nil
}

// Zones returns the current spot prices of a type by zone.
func (p *Prices) Zones(ctx context.Context, instanceType string) (map[string]float64, error) {
	if a, asked := p.spot[instanceType]; asked {
		return a.zones, a.err
	}
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	found, err := SpotPrices(ctx, p.History, now(), instanceType)
	a := answer{zones: found[instanceType], err: err}
	if a.err == nil && len(a.zones) == 0 {
		a.err = fmt.Errorf("EC2 has no spot price for %s in %s", instanceType, p.Region)
	}
	if p.spot == nil {
		p.spot = map[string]answer{}
	}
	p.spot[instanceType] = a
	return a.zones, a.err
}

// SpotPrices returns the current spot prices of types by type and zone. Types without
// a price are missing.
func SpotPrices(ctx context.Context, history ec2.DescribeSpotPriceHistoryAPIClient, now time.Time, types ...string) (map[string]map[string]float64, error) {
	in := &ec2.DescribeSpotPriceHistoryInput{
		ProductDescriptions: []string{"Linux/UNIX"},
		StartTime:           aws.Time(now.UTC()), EndTime: aws.Time(now.UTC()), // EC2 then returns the current prices
	}
	for _, t := range types {
		in.InstanceTypes = append(in.InstanceTypes, ec2types.InstanceType(t))
	}
	found := map[string]map[string]float64{}
	latest := map[[2]string]time.Time{}
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(history, in)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range out.SpotPriceHistory {
			name, zone, when := string(s.InstanceType), aws.ToString(s.AvailabilityZone), aws.ToTime(s.Timestamp)
			at := [2]string{name, zone}
			usd, err := strconv.ParseFloat(aws.ToString(s.SpotPrice), 64)
			if _, known := latest[at]; err == nil && usd > 0 && (!known || when.After(latest[at])) {
				if found[name] == nil {
					found[name] = map[string]float64{}
				}
				found[name][zone], latest[at] = usd, when
			}
		}
	}
	return found, nil
}

// Forget drops the cached spot prices, which change.
func (p *Prices) Forget() { p.spot = nil }

// Limits are the cost limits of a launch in US dollars; 0 means no limit.
type Limits struct {
	PerHour float64
	// Build applies to Starts instances that each run for Time, and to the instances of
	// launch tests, which together run for Tests.
	Build  float64
	Time   time.Duration
	Starts int
	Tests  time.Duration
}

// Any reports whether there is a limit.
func (l Limits) Any() bool { return l.PerHour > 0 || l.Build > 0 }

// Codes of refusals by the plugin.
const (
	codePerHour      = "max_price_per_hour"
	codeBuild        = "max_build_cost"
	codeUnknownPrice = "unknown price"
)

// Refuse returns the refusal of a price above a limit, or nil.
func (l Limits) Refuse(price Price) *Refusal {
	spot := price.Source == SourceSpot // spot prices change, and differ by zone
	if l.PerHour > 0 && price.USD > l.PerHour {
		return &Refusal{Kind: OverPrice, Code: codePerHour, Again: spot, Regional: !spot,
			Reason: fmt.Sprintf("costs %s per hour (%s), more than %s", usd.Price(price.USD), price.Source, usd.Price(l.PerHour))}
	}
	if cost := price.USD * l.hours(); l.Build > 0 && cost > l.Build {
		times := ""
		if l.Starts > 1 {
			times = fmt.Sprintf(" x %d starts", l.Starts)
		}
		if l.Tests > 0 {
			times += fmt.Sprintf(" and %s of launch_test", l.Tests)
		}
		return &Refusal{Kind: OverPrice, Code: codeBuild, Again: spot, Regional: !spot,
			Reason: fmt.Sprintf("could cost %s: %s per hour (%s) x %s of max_build_time%s, more than %s",
				usd.Price(cost), usd.Price(price.USD), price.Source, l.Time, times, usd.Price(l.Build))}
	}
	return nil
}

// Unknown returns the refusal of an unknown price.
func (l Limits) Unknown(why error) *Refusal {
	return &Refusal{Kind: OverPrice, Code: codeUnknownPrice, Regional: true,
		Reason: fmt.Sprintf("its price is unknown, so the limit cannot be checked: %s", why)}
}

// hours returns the maximum number of billed hours.
func (l Limits) hours() float64 { return l.Time.Hours()*float64(max(l.Starts, 1)) + l.Tests.Hours() }

// PerHourAtMost returns the maximum price per hour under all limits and other, if
// set; 0 means no limit. EC2 enforces it for a spot instance.
func (l Limits) PerHourAtMost(other float64) float64 {
	most := other
	for _, limit := range []float64{l.PerHour, l.perHourOfBuild()} {
		if limit > 0 && (most == 0 || limit < most) {
			most = limit
		}
	}
	return most
}

func (l Limits) perHourOfBuild() float64 {
	if l.hours() == 0 {
		return 0
	}
	return l.Build / l.hours()
}
