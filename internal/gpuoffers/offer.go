// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gpuoffers lists the GPU instance types that EC2 offers in a region, with their
// expected hash rates and prices, and chooses among them.
//
// Only Source makes requests. The rest judges what it has found.
package gpuoffers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Offer is an instance type that a region offers.
type Offer struct {
	Type         string
	Architecture string // x86_64 or arm64
	VCPUs        int
	GPU          gpucatalog.GPU
	GPUs         int      // number of GPUs
	MemoryMiB    int64    // of each GPU, as EC2 states it
	Zones        []string // that offer it, sorted
	// Limit is the rate that the memory bandwidth of all GPUs allows, and Rate the
	// expected rate. RateSource describes where Rate is from.
	Limit, Rate miner.Rate
	RateSource  string
	// OnDemand is the price in US dollars per hour, and Spot the prices by zone; 0 and
	// empty if unknown.
	OnDemand float64
	Spot     map[string]float64
}

// Markets whose prices decide.
const (
	OnDemand = "on-demand"
	Spot     = "spot"
)

// Markets lists the markets.
var Markets = []string{OnDemand, Spot}

// Price returns the price in a market; on spot, that of the cheapest zone. It is 0 if
// unknown.
func (o Offer) Price(market string) float64 {
	if market != Spot {
		return o.OnDemand
	}
	return o.Spot[o.SpotZone()]
}

// SpotZone returns the zone with the lowest spot price; "" if none is known.
func (o Offer) SpotZone() (cheapest string) {
	for _, zone := range slices.Sorted(maps.Keys(o.Spot)) {
		if cheapest == "" || o.Spot[zone] < o.Spot[cheapest] {
			cheapest = zone
		}
	}
	return cheapest
}

// RatePerDollar returns the hashes per second for each US dollar per hour; 0 if the
// price is unknown.
func (o Offer) RatePerDollar(market string) miner.Rate {
	price := o.Price(market)
	if price == 0 {
		return 0
	}
	return o.Rate / miner.Rate(price)
}

// Orders of the offers.
const (
	ByRatePerDollar = "rate_per_dollar" // the highest first
	ByRate          = "rate"            // the highest first
	ByPrice         = "price"           // the lowest first
)

// Orders lists the orders.
var Orders = []string{ByRatePerDollar, ByRate, ByPrice}

// Sort sorts offers by an order. Offers with an unknown price are last if the price
// decides. Equal ones are sorted by rate, price and name.
func Sort(offers []Offer, order, market string) {
	slices.SortFunc(offers, func(a, b Offer) int {
		byRate := cmp.Compare(b.Rate, a.Rate)
		byPrice := cmp.Compare(known(a.Price(market)), known(b.Price(market)))
		byValue := cmp.Compare(b.RatePerDollar(market), a.RatePerDollar(market))
		first := map[string]int{ByRatePerDollar: byValue, ByRate: byRate, ByPrice: byPrice}[order]
		return cmp.Or(first, byRate, byPrice, cmp.Compare(a.Type, b.Type))
	})
}

// known replaces an unknown price by one above all others.
func known(price float64) float64 {
	if price == 0 {
		return 1e9
	}
	return price
}

// Wanted selects offers. The zero value of a field selects all.
type Wanted struct {
	Architecture string
	GPUs         []string // names of models, in any case
	Compute      []string // compute capabilities, such as "7.5"
	MaxGPUs      int
	DAGBytes     uint64 // must fit into the memory of each GPU
	Market       string
	MaxPrice     float64 // in the market, in US dollars per hour
}

// memoryShare is the share of a GPU's memory that a DAG may take: the driver and the
// miner need the rest.
const memoryShare = 0.95

// refuses returns why an offer is not selected, regardless of its price; "" if it is.
func (w Wanted) refuses(o Offer) string {
	switch {
	case o.GPU.Refused != "":
		return "are not supported"
	case w.Architecture != "" && o.Architecture != w.Architecture:
		return "have another architecture"
	case len(w.GPUs) > 0 && !slices.ContainsFunc(w.GPUs, func(name string) bool { return strings.EqualFold(name, o.GPU.Name) }):
		return "have another GPU (gpus)"
	case len(w.Compute) > 0 && !slices.Contains(w.Compute, Compute(o.GPU)):
		return "have another compute capability (compute_capabilities)"
	case w.MaxGPUs > 0 && o.GPUs > w.MaxGPUs:
		return fmt.Sprintf("have more than %d GPUs (max_gpus)", w.MaxGPUs)
	case float64(w.DAGBytes) > float64(o.MemoryMiB<<20)*memoryShare:
		return fmt.Sprintf("have less memory than a DAG of %.2f GiB needs", float64(w.DAGBytes)/(1<<30))
	case len(o.Zones) == 0:
		return "are offered in no zone"
	}
	return ""
}

// tooExpensive returns why the price of an offer is refused; "" if it is not.
func (w Wanted) tooExpensive(o Offer) string {
	switch price := o.Price(w.Market); {
	case w.MaxPrice == 0:
		return ""
	case price == 0:
		return "have an unknown price (max_price_per_hour)"
	case price > w.MaxPrice:
		return "cost more than max_price_per_hour"
	}
	return ""
}

// Compute returns the compute capability with a dot: "7.5", "12.0".
func Compute(g gpucatalog.GPU) string {
	last := len(g.Compute) - 1
	return g.Compute[:last] + "." + g.Compute[last:]
}
