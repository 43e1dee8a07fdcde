// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// climb launches on the first rung that EC2 does not refuse.
func (b *build) climb(ctx context.Context, client *ec2api.EC2, state multistep.StateBag) (instance ec2types.Instance, rung launch.Rung, err error) {
	ui, limits := uiOf(state), b.config.limits()
	rungs, err := b.rungs(ctx, ui.Sayf)
	if err != nil {
		return instance, rung, err
	}
	ladder := launch.Ladder{
		Rungs:    rungs,
		Timeout:  b.config.CapacityTimeout,
		Patience: b.launching,
		Rewalk:   b.prices.Forget,
		Say:      func(line string) { ui.Say(line) },
	}
	if limits.Any() {
		ladder.Admit = func(ctx context.Context, rung launch.Rung) *launch.Refusal {
			price, err := b.prices.Of(ctx, rung)
			switch {
			case err == nil:
				return limits.Refuse(price)
			case rung.Market == launch.Spot: // EC2 itself keeps the limit, which is the instance's highest price
				log.Printf("[INFO] the spot price of %s is not known: %s", rung, err)
				return nil
			}
			return limits.Unknown(ec2api.Plain(err))
		}
	}
	ui.Sayf("Launching one %s%s...", rungs[0].Type, b.alternatives(rungs))
	// A token stands for one launch: the answer to a repeated call is that of
	// the first. EC2 gets a new one after it has refused.
	calls := map[launch.Rung]*ec2.RunInstancesInput{}
	rung, err = ladder.Climb(ctx, func(ctx context.Context, rung launch.Rung) (err error) {
		if calls[rung] == nil {
			if calls[rung], err = b.config.runInstancesInput(state, b.clients.Region(), rung, uuid.TimeOrderedUUID()); err != nil {
				return err
			}
		}
		instance, err = b.runInstances(ctx, client, calls[rung])
		if ec2api.IsLaunchRefusal(err) {
			delete(calls, rung)
		}
		return err
	})
	if refused := new(launch.RefusedError); errors.As(err, &refused) {
		refused.Region = b.clients.Region()
	}
	return instance, rung, err
}

// rungs are what may be launched, in the order to try.
func (b *build) rungs(ctx context.Context, say func(string, ...any)) ([]launch.Rung, error) {
	c := b.config
	rungs := launch.Rungs(c.InstanceTypes, c.markets(), b.places)
	if c.SpotAllocationStrategy != lowestPrice || !c.may(launch.Spot) {
		return rungs, nil
	}
	if len(b.places) > 1 { // a price is that of a zone, so none is left to EC2
		rungs = slices.DeleteFunc(rungs, func(r launch.Rung) bool { return r.Market == launch.Spot && r.Place == launch.Place{} })
	}
	if err := b.prices.Cheapest(ctx, rungs); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		say("Spot prices are not known (%s), so spot_allocation_strategy = \"lowest-price\" keeps the order that is given", ec2api.Plain(err))
	}
	return rungs, nil
}

// alternatives names what else may be launched.
func (b *build) alternatives(rungs []launch.Rung) string {
	types, markets := map[string]bool{}, map[launch.Market]bool{}
	for _, r := range rungs {
		types[r.Type], markets[r.Market] = true, true
	}
	var counts []string
	for _, count := range []struct {
		n    int
		what string
	}{{len(types), "types"}, {len(markets), "markets"}, {len(b.places), "places"}} {
		if count.n > 1 {
			counts = append(counts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	text := ", " + string(rungs[0].Market)
	if len(types)+len(markets) > 2 {
		text += ", first of " + strings.Join(counts, " x ")
	}
	return text
}

// priceTimeout bounds the question of what the instance costs, which the build
// does without an answer to. It takes less than an instance to boot.
const priceTimeout = 5 * time.Second

// askPrice asks what the rung that was taken costs, while the instance boots.
// note ends that, puts the answer into the report, and says it; nobody may
// know it.
func (b *build) askPrice(ctx context.Context, rung launch.Rung) (note func(say func(string, ...any))) {
	ctx, cancel := context.WithTimeout(ctx, priceTimeout)
	rung.Place.Zone = b.report.Zone
	var price launch.Price
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		price, err = b.prices.Of(ctx, rung)
	}()
	return func(say func(string, ...any)) {
		<-done
		cancel()
		if err != nil {
			log.Printf("[INFO] the price of %s is not known: %s", rung, err)
			return
		}
		if b.config.Rehearsal && price.Source != launch.SourceUser {
			price.Source += ", simulated"
		}
		b.report.PricePerHourUSD, b.report.PriceSource = price.USD, price.Source
		say("%s costs $%s an hour (%s)", b.report.InstanceID, launch.USD(price.USD), price.Source)
	}
}

// priceList knows what instances cost in the build's region.
func (c *Config) priceList(clients *ec2api.Clients) *launch.Prices {
	p := &launch.Prices{Given: c.prices, Region: clients.Region(), History: clients.EC2(clients.Region()), Dedicated: c.tenancy() == ec2types.TenancyDedicated}
	if list := clients.Pricing(); list != nil && c.tenancy() != ec2types.TenancyHost { // a host is paid for, not what runs on it
		p.List = list
	}
	return p
}

// onSpot says that the instance was bought on the spot market.
func (b *build) onSpot() bool { return b.report.Market == string(launch.Spot) }
