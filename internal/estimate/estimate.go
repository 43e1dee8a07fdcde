// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package estimate computes what a build may cost before it starts, from the prices
// that AWS returns. A price that AWS does not return is unknown, and the estimate says so.
//
// The estimate is an upper limit at list prices, of instances, copies and snapshots. It
// has no volumes of running instances, public addresses, requests, taxes and discounts.
package estimate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// Build lists what a build pays for.
type Build struct {
	Instances []Instance
	Image     *Image // nil if none is created
}

// Instance is an instance of a build. The estimate uses the most expensive of its types
// and markets.
type Instance struct {
	Name    string // for messages, such as "instance"
	Region  string
	Types   []string
	Markets []launch.Market
	// Longest is the time after which it ends at the latest, and Limit the option
	// that sets it. 0 means no limit.
	Longest time.Duration
	Limit   string
	// Count is the maximum number of launches.
	Count int
	// Limits are those above whose price none is launched, nor at an unknown price.
	Limits launch.Limits
}

// Image is an image and its copies.
type Image struct {
	// GiB returns the size of its volumes, the maximum that its snapshots store.
	GiB func(context.Context) (int64, error)
	// From is the region of the image, and To the regions to which it is copied.
	From string
	To   []string
	// Stored has the region of each image, also of those that stay in From or belong to
	// another account.
	Stored []string
}

// Prices are the sources of prices.
type Prices struct {
	// Instances returns a new source of instance prices in a region.
	Instances func(region string) *launch.Prices
	// List is AWS's price list; nil if not available.
	List pricing.GetProductsAPIClient
}

// Estimate is what a build may cost.
type Estimate struct{ items []item }

// item is a part of the cost.
type item struct {
	name    string
	monthly bool    // USD is per month, after the build
	usd     float64 // 0 if unknown
	how     string  // the calculation
	unknown string  // what is missing, and why; empty if nothing is
	refused []Refused
}

// Refused is a type and market that the limits rule out before a launch. Spot prices
// change, so they rule out none.
type Refused struct {
	launch.Attempt
	*launch.Refusal
}

// Refused returns what the limits of an instance rule out.
func (e Estimate) Refused(name string) (all []Refused) {
	for _, i := range e.items {
		if i.name == name {
			all = append(all, i.refused...)
		}
	}
	return all
}

// Run requests all prices concurrently. It takes no longer than its context: a price
// without a response is unknown.
func (b Build) Run(ctx context.Context, prices Prices) Estimate {
	parts := []func(context.Context, Prices) item{}
	for _, i := range b.Instances {
		parts = append(parts, i.cost)
	}
	if b.Image != nil {
		if len(b.Image.To) > 0 {
			parts = append(parts, b.Image.transfers)
		}
		if len(b.Image.Stored) > 0 {
			parts = append(parts, b.Image.snapshots)
		}
	}
	e := Estimate{items: make([]item, len(parts))}
	var wg sync.WaitGroup
	for n, part := range parts {
		wg.Go(func() { e.items[n] = part(ctx, prices) })
	}
	wg.Wait()
	return e
}

// extra is what no estimate has.
const extra = "; volumes, addresses, requests and taxes are extra"

// Lines returns the estimate as lines for the user: the total first, then each part.
// It is empty if the build pays for nothing.
func (e Estimate) Lines() []string {
	var totals, lines []string
	for _, period := range []struct {
		monthly   bool
		of, after string
	}{{false, "for the build", ""}, {true, "for the snapshots", " per month"}} {
		sum, known, missing := 0.0, false, []string(nil)
		for _, i := range e.items {
			if i.monthly != period.monthly {
				continue
			}
			sum += i.usd
			known = known || i.usd > 0 || i.unknown == ""
			if i.unknown != "" {
				missing = append(missing, i.name)
			}
			lines = append(lines, i.line(period.after))
		}
		switch {
		case !known && len(missing) == 0:
		case !known:
			totals = append(totals, "unknown "+period.of)
		case len(missing) > 0:
			totals = append(totals, fmt.Sprintf("%s%s %s plus an unknown amount (%s)", usd.Cost("at most", sum), period.after, period.of, strings.Join(missing, ", ")))
		default:
			totals = append(totals, fmt.Sprintf("%s%s %s", usd.Cost("at most", sum), period.after, period.of))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return append([]string{strings.Join(totals, ", and ") + extra}, lines...)
}

func (i item) line(per string) string {
	var parts []string
	if i.usd > 0 || i.unknown == "" {
		parts = append(parts, fmt.Sprintf("%s%s (%s)", usd.Cost("", i.usd), per, i.how))
	}
	if i.unknown != "" {
		parts = append(parts, "unknown: "+i.unknown)
	}
	return i.name + ": " + strings.Join(parts, "; ")
}

// reason returns why a price is unknown. action is the permission of its request.
func reason(ctx context.Context, err error, action string) string {
	switch {
	case awsclient.IsUnauthorized(err):
		return "allow " + action
	case ctx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "no response in time"
	}
	return awsclient.Plain(err).Error()
}
