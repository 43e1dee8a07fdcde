// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"fmt"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pricing"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Prices are made up: of each vCPU and each GPU, in US dollars an hour. They
// are not AWS's, and a rehearsal bills nothing.

type spotPrice struct {
	Type    string `xml:"instanceType"`
	Product string `xml:"productDescription"`
	Price   string `xml:"spotPrice"`
	Time    string `xml:"timestamp"`
	Zone    string `xml:"availabilityZone"`
}

// spotShare is what a spot instance costs of one on demand, here; the second
// zone is the least expensive, and each further one costs a hundredth more.
const spotShare = 0.4

func (t *typeData) onDemandUSD() float64 { return 0.025*float64(t.cpus) + 0.5*float64(t.gpus) }

func (t *typeData) spotUSD(zone int) float64 {
	if zone == 0 {
		zone = 5
	}
	return t.onDemandUSD() * spotShare * (1 + 0.01*float64(zone))
}

// afford refuses a spot instance whose highest price is less than it costs.
func (c *call) afford(market query.Params, kind *typeData, net *subnet) error {
	text := market.Get("SpotOptions.MaxPrice")
	if market.Get("MarketType") != "spot" || text == "" {
		return nil
	}
	most, err := strconv.ParseFloat(text, 64)
	if err != nil || most <= 0 {
		return query.Errorf("InvalidParameterValue", "Invalid value '%s' for SpotMaxPrice. It must be a positive number.", text)
	}
	for n, z := range c.r.zones {
		if z.name == net.Zone && most < kind.spotUSD(n) {
			return query.Errorf("SpotMaxPriceTooLow", "Your Spot request price of %s is lower than the minimum required Spot request fulfillment price of %.4f.", text, kind.spotUSD(n))
		}
	}
	return nil
}

// Offers is what every type costs on demand in every region.
func (s *Service) Offers() []pricing.Offer {
	var all []pricing.Offer
	for _, t := range typeTable {
		for _, d := range regionData {
			all = append(all, pricing.Offer{Type: t.name, Region: d.name, USD: t.onDemandUSD()})
		}
	}
	return all
}

// describeSpotPriceHistory answers with the one price that a type has in each
// zone, as of now.
func describeSpotPriceHistory(c *call) (any, error) {
	var found []spotPrice
	for _, t := range typeTable {
		for n, z := range c.r.zones {
			if !t.offeredIn(z.name) || !contains(c.p.List("InstanceType"), t.name) {
				continue
			}
			if zone := c.p.Get("AvailabilityZone"); zone != "" && zone != z.name {
				continue
			}
			price := spotPrice{t.name, "Linux/UNIX", fmt.Sprintf("%.6f", t.spotUSD(n)), stamp(c.now), z.name}
			ok, err := c.matches(tagList{}, func(name string) ([]string, bool) {
				value, ok := map[string]string{
					"instance-type": price.Type, "availability-zone": price.Zone, "product-description": price.Product, "spot-price": price.Price, "timestamp": price.Time,
				}[name]
				return []string{value}, ok
			})
			if err != nil {
				return nil, err
			}
			if ok && contains(c.p.List("ProductDescription"), price.Product) {
				found = append(found, price)
			}
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Prices query.Set[spotPrice] `xml:"spotPriceHistorySet"`
		Next   string               `xml:"nextToken"`
	}{set, next}, err
}
