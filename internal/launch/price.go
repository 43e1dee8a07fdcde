// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
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
	tenancy := "Shared"
	if p.Dedicated {
		tenancy = "Dedicated"
	}
	in := &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2")}
	for _, f := range [][2]string{
		{"instanceType", instanceType}, {"regionCode", p.Region}, {"operatingSystem", "Linux"}, {"tenancy", tenancy},
		{"preInstalledSw", "NA"}, {"capacitystatus", "Used"},
	} {
		in.Filters = append(in.Filters, pricingtypes.Filter{
			Field: aws.String(f[0]), Type: pricingtypes.FilterTypeTermMatch, Value: aws.String(f[1]),
		})
	}
	out, err := p.List.GetProducts(ctx, in)
	if err != nil {
		return 0, err
	}
	var found []float64
	for _, text := range out.PriceList {
		usd, err := hourly(text)
		if err != nil {
			return 0, fmt.Errorf("reading the price list: %w", err)
		}
		found = append(found, usd...)
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("AWS's price list has no price for %s in %s", instanceType, p.Region)
	}
	return slices.Max(found), nil // of several offers, the highest is the safe one
}

// hourly parses the on-demand prices of a product in the format of
// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html.
func hourly(text string) ([]float64, error) {
	var product struct {
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					Unit         string            `json:"unit"`
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			}
		} `json:"terms"`
	}
	if err := json.Unmarshal([]byte(text), &product); err != nil {
		return nil, err
	}
	var found []float64
	for _, term := range product.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			usd, err := strconv.ParseFloat(d.PricePerUnit["USD"], 64)
			if err == nil && usd > 0 && d.Unit == "Hrs" {
				found = append(found, usd)
			}
		}
	}
	return found, nil
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
	a := answer{zones: map[string]float64{}}
	latest := map[string]time.Time{}
	at := now().UTC()
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(p.History, &ec2.DescribeSpotPriceHistoryInput{
		InstanceTypes:       []ec2types.InstanceType{ec2types.InstanceType(instanceType)},
		ProductDescriptions: []string{"Linux/UNIX"},
		StartTime:           aws.Time(at), EndTime: aws.Time(at), // EC2 then returns the current prices
	})
	for a.err == nil && pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			a.err = err
			break
		}
		for _, s := range out.SpotPriceHistory {
			zone, when := aws.ToString(s.AvailabilityZone), aws.ToTime(s.Timestamp)
			usd, err := strconv.ParseFloat(aws.ToString(s.SpotPrice), 64)
			if _, known := latest[zone]; err == nil && usd > 0 && (!known || when.After(latest[zone])) {
				a.zones[zone], latest[zone] = usd, when
			}
		}
	}
	if a.err == nil && len(a.zones) == 0 {
		a.err = fmt.Errorf("EC2 has no spot price for %s in %s", instanceType, p.Region)
	}
	if p.spot == nil {
		p.spot = map[string]answer{}
	}
	p.spot[instanceType] = a
	return a.zones, a.err
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
			Reason: fmt.Sprintf("costs $%s per hour (%s), more than $%s", USD(price.USD), price.Source, USD(l.PerHour))}
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
			Reason: fmt.Sprintf("could cost $%s: $%s per hour (%s) x %s of max_build_time%s, more than $%s",
				USD(cost), USD(price.USD), price.Source, l.Time, times, USD(l.Build))}
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

// USD formats an amount with two to four decimal places.
func USD(v float64) string {
	text := strconv.FormatFloat(v, 'f', 4, 64)
	for text[len(text)-1] == '0' && text[len(text)-3] != '.' {
		text = text[:len(text)-1]
	}
	return text
}
