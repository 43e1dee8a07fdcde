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

// Price is what an instance costs.
type Price struct {
	USD    float64 // an hour
	Source string  // one of the Source constants
}

// Where a price is from. None is ever written into this program.
const (
	SourceUser = "prices" // the option
	SourceList = "AWS Price List"
	SourceSpot = "EC2 spot price history"
)

// Prices asks for prices, each once. It is not safe for several goroutines.
type Prices struct {
	// Given are the user's, by type, on demand.
	Given  map[string]float64
	Region string
	// Dedicated asks for single-tenant hardware's prices.
	Dedicated bool
	// List is AWS's price list; nil where there is none.
	List pricing.GetProductsAPIClient
	// History is that of spot prices.
	History ec2.DescribeSpotPriceHistoryAPIClient
	// Now is time.Now unless set.
	Now func() time.Time

	onDemand map[string]answer
	spot     map[string]answer // by type; the zones are in it
}

type answer struct {
	usd   float64
	zones map[string]float64
	err   error
}

// ErrNoPriceList is returned where AWS publishes no price in US dollars.
var ErrNoPriceList = errors.New("AWS publishes no price list in US dollars for this region")

// Of returns the price of a rung. A reservation costs what the instance does on
// demand, used or not. Where EC2 chooses the zone, the spot price is that of
// the dearest one.
func (p *Prices) Of(ctx context.Context, r Rung) (Price, error) {
	if r.Market == Spot {
		zones, err := p.Zones(ctx, r.Type)
		if err != nil {
			return Price{}, err
		}
		if r.Place.Zone != "" {
			usd, ok := zones[r.Place.Zone]
			if !ok {
				return Price{}, fmt.Errorf("EC2 has no spot price of %s in %s", r.Type, r.Place.Zone)
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

// list asks AWS's price list for a type on demand, with Linux.
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
		return 0, fmt.Errorf("AWS's price list has no %s in %s", instanceType, p.Region)
	}
	return slices.Max(found), nil // several offers of one thing: none may cost more than is said
}

// hourly reads the on-demand prices of a product, as they are in
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

// Zones returns the spot price of a type now, by zone.
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
		StartTime:           aws.Time(at), EndTime: aws.Time(at), // EC2 then answers the prices that hold now
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
		a.err = fmt.Errorf("EC2 has no spot price of %s in %s", instanceType, p.Region)
	}
	if p.spot == nil {
		p.spot = map[string]answer{}
	}
	p.spot[instanceType] = a
	return a.zones, a.err
}

// Forget drops the spot prices, which change.
func (p *Prices) Forget() { p.spot = nil }

// Cheapest sorts the spot rungs among themselves by the price that holds now,
// and leaves the others where they are. Rungs whose price is not known come
// last; if none is known, the error says why and the order stays.
func (p *Prices) Cheapest(ctx context.Context, rungs []Rung) error {
	type priced struct {
		Rung
		usd   float64
		known bool
	}
	var at []int
	var spot []priced
	var firstErr error
	some := false
	for i, r := range rungs {
		if r.Market != Spot {
			continue
		}
		price, err := p.Of(ctx, r)
		if err != nil && firstErr == nil {
			firstErr = err
		}
		some = some || err == nil
		at, spot = append(at, i), append(spot, priced{r, price.USD, err == nil})
	}
	if !some {
		return firstErr
	}
	slices.SortStableFunc(spot, func(a, b priced) int {
		switch {
		case a.known != b.known && a.known, a.known && b.known && a.usd < b.usd:
			return -1
		case a.known != b.known, a.known && b.known && a.usd > b.usd:
			return 1
		}
		return 0
	})
	for n, i := range at {
		rungs[i] = spot[n].Rung
	}
	return nil
}

// Limits are what a launch may cost, in US dollars; 0 is no limit.
type Limits struct {
	PerHour float64
	// Build is for Starts instances that each run for Time.
	Build  float64
	Time   time.Duration
	Starts int
}

// Any says that there is a limit.
func (l Limits) Any() bool { return l.PerHour > 0 || l.Build > 0 }

// Codes of refusals that are not EC2's.
const (
	codePerHour      = "max_price_per_hour"
	codeBuild        = "max_build_cost"
	codeUnknownPrice = "unknown price"
)

// Refuse returns the refusal of a price above a limit, nil of one within.
func (l Limits) Refuse(price Price) *Refusal {
	spot := price.Source == SourceSpot // it changes, and differs by zone
	if l.PerHour > 0 && price.USD > l.PerHour {
		return &Refusal{Kind: OverPrice, Code: codePerHour, Again: spot, Regional: !spot,
			Reason: fmt.Sprintf("costs $%s an hour (%s), more than $%s", USD(price.USD), price.Source, USD(l.PerHour))}
	}
	if cost := price.USD * l.hours(); l.Build > 0 && cost > l.Build {
		times := ""
		if l.Starts > 1 {
			times = fmt.Sprintf(" x %d starts", l.Starts)
		}
		return &Refusal{Kind: OverPrice, Code: codeBuild, Again: spot, Regional: !spot,
			Reason: fmt.Sprintf("could cost $%s: $%s an hour (%s) x %s of max_build_time%s, more than $%s",
				USD(cost), USD(price.USD), price.Source, l.Time, times, USD(l.Build))}
	}
	return nil
}

// Unknown is the refusal of a price that nobody knows.
func (l Limits) Unknown(why error) *Refusal {
	return &Refusal{Kind: OverPrice, Code: codeUnknownPrice, Regional: true,
		Reason: fmt.Sprintf("nobody knows whether its price is within the limit: %s", why)}
}

// hours are those that are paid for at most.
func (l Limits) hours() float64 { return l.Time.Hours() * float64(max(l.Starts, 1)) }

// PerHourAtMost is the most that an hour may cost under all limits and other,
// if that is set; 0 is no limit. EC2 keeps it for a spot instance.
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

// USD writes an amount with four digits behind the point at most, and two at least.
func USD(v float64) string {
	text := strconv.FormatFloat(v, 'f', 4, 64)
	for text[len(text)-1] == '0' && text[len(text)-3] != '.' {
		text = text[:len(text)-1]
	}
	return text
}
