// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package estimate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// The permissions of the requests for prices.
const (
	listAction = "pricing:GetProducts"
	spotAction = "ec2:DescribeSpotPriceHistory"
)

// offer is the price of a type in a market.
type offer struct {
	launch.Attempt
	price launch.Price
	err   error
}

func (o offer) String() string { return fmt.Sprintf("%s, %s", o.Type, o.Market) }

// cost returns the cost of an instance at its highest price.
func (i Instance) cost(ctx context.Context, prices Prices) item {
	found := item{name: i.Name}
	var missing []string
	var highest *offer
	most := i.Limits.PerHourAtMost(0)
	offers := i.offers(ctx, prices)
	for n := range offers {
		o := &offers[n]
		switch {
		case o.err != nil:
			action := listAction
			if o.Market == launch.Spot {
				action = spotAction
			}
			missing = append(missing, fmt.Sprintf("the price of %s (%s)", o, reason(ctx, o.err, action)))
		case most > 0 && o.price.USD > most:
			if refusal := i.Limits.Refuse(o.price); refusal != nil && o.Market != launch.Spot {
				found.refused = append(found.refused, Refused{o.Attempt, refusal})
			}
		case highest == nil || o.price.USD > highest.price.USD:
			highest = o
		}
	}
	if most > 0 && (highest != nil || len(missing) < len(offers)) {
		missing = nil // not launched at an unknown price
	}
	found.unknown = strings.Join(missing, ", ")
	switch {
	case highest == nil && found.unknown == "":
		found.how = fmt.Sprintf("not launched: every price is above the limit of %s per hour", usd.Price(most))
	case highest == nil:
	case highest.price.Source == launch.SourceBlock:
		found.how = fmt.Sprintf("%s: %s", highest, highest.price.Source)
	case i.Longest == 0:
		found.unknown = fmt.Sprintf("%s costs %s per hour by %s, without a limit of the time; set %s", highest, usd.Price(highest.price.USD), highest.price.Source, i.Limit)
	default:
		starts := max(i.Count, 1)
		found.usd = highest.price.USD * i.Longest.Hours() * float64(starts)
		found.how = fmt.Sprintf("%s: %s per hour by %s, %s", highest, usd.Price(highest.price.USD), highest.price.Source, hours(i.Longest))
		if i.Limit != "" {
			found.how += " of " + i.Limit
		}
		if starts > 1 {
			found.how += fmt.Sprintf(" x %d launches", starts)
		}
	}
	return found
}

// offers requests the price of each type and market. If EC2 chooses the zone, the spot
// price is the highest of all zones.
func (i Instance) offers(ctx context.Context, prices Prices) []offer {
	var offers []offer
	for _, attempt := range launch.Attempts(i.Types, i.Markets, []launch.Place{{}}) {
		if attempt.Market == launch.Reservation && slices.Contains(i.Markets, launch.OnDemand) {
			continue // has the same price
		}
		offers = append(offers, offer{Attempt: attempt})
	}
	var wg sync.WaitGroup
	for n := range offers {
		wg.Go(func() { offers[n].price, offers[n].err = prices.Instances(i.Region).Of(ctx, offers[n].Attempt) })
	}
	wg.Wait()
	return offers
}

// hours formats a duration: "20 min", "6 h", "1.5 h".
func hours(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Hours()), ".0") + " h"
}
