// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"fmt"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pricing"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

func describeInstanceTypes(c *call) (any, error) {
	requested := c.Params.List("InstanceType")
	for _, name := range requested {
		if _, err := catalog.FindType(name); err != nil {
			return nil, query.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
	}
	var found []catalog.TypeInfo
	for _, t := range catalog.Types {
		i := t.Info()
		ok, err := c.Matches(api.TagList{}, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"instance-type": t.Name, "current-generation": strconv.FormatBool(i.Current), "processor-info.supported-architecture": t.Arch,
				"vcpu-info.default-vcpus": strconv.Itoa(t.CPUs), "memory-info.size-in-mib": strconv.Itoa(t.Memory), "hypervisor": i.Hypervisor,
				"bare-metal": strconv.FormatBool(i.Metal), "free-tier-eligible": strconv.FormatBool(i.Free), "burstable-performance-supported": strconv.FormatBool(i.Burst),
				"instance-storage-supported": strconv.FormatBool(i.Storage), "network-info.ena-support": i.Network.Ena,
			}[name]
			switch name {
			case "supported-usage-class":
				return i.Usage.Items, true
			case "supported-root-device-type":
				return i.Root.Items, true
			case "supported-virtualization-type":
				return i.Virt.Items, true
			case "supported-boot-mode":
				return i.Boot.Items, true
			}
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(requested, t.Name) {
			found = append(found, i)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Types query.Set[catalog.TypeInfo] `xml:"instanceTypeSet"`
		Next  string                      `xml:"nextToken,omitempty"`
	}{set, next}, err
}

type offering struct {
	Type     string `xml:"instanceType"`
	Kind     string `xml:"locationType"`
	Location string `xml:"location"`
}

func describeInstanceTypeOfferings(c *call) (any, error) {
	kind := c.Params.Or("LocationType", "region")
	var found []offering
	for _, t := range catalog.Types {
		var places []string
		switch kind {
		case "region":
			places = []string{c.r.Name}
		case "availability-zone", "availability-zone-id":
			for _, z := range c.r.Zones {
				if t.OfferedIn(z.Name) {
					places = append(places, map[bool]string{true: z.Name, false: z.ID}[kind == "availability-zone"])
				}
			}
		default:
			return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter LocationType is invalid.", kind)
		}
		for _, place := range places {
			ok, err := c.Matches(api.TagList{}, func(name string) ([]string, bool) {
				value, ok := map[string]string{"instance-type": t.Name, "location": place}[name]
				return []string{value}, ok
			})
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, offering{t.Name, kind, place})
			}
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Offerings query.Set[offering] `xml:"instanceTypeOfferingSet"`
		Next      string              `xml:"nextToken,omitempty"`
	}{set, next}, err
}

type spotPrice struct {
	Type    string `xml:"instanceType"`
	Product string `xml:"productDescription"`
	Price   string `xml:"spotPrice"`
	Time    string `xml:"timestamp"`
	Zone    string `xml:"availabilityZone"`
}

// checkMaxPrice rejects a spot request whose maximum price is below the spot price.
func (c *call) checkMaxPrice(market query.Params, kind *catalog.Type, net *network.Subnet) error {
	text := market.Get("SpotOptions.MaxPrice")
	if market.Get("MarketType") != "spot" || text == "" {
		return nil
	}
	maxPrice, err := strconv.ParseFloat(text, 64)
	if err != nil || maxPrice <= 0 {
		return query.Errorf("InvalidParameterValue", "Invalid value '%s' for SpotMaxPrice. It must be a positive number.", text)
	}
	for n, z := range c.r.Zones {
		if z.Name == net.Zone && maxPrice < kind.SpotUSD(n) {
			return query.Errorf("SpotMaxPriceTooLow", "Your Spot request price of %s is lower than the minimum required Spot request fulfillment price of %.4f.", text, kind.SpotUSD(n))
		}
	}
	return nil
}

// Offers returns the on-demand prices of every type in every region.
func (s *Service) Offers() []pricing.Offer {
	var all []pricing.Offer
	for _, t := range catalog.Types {
		for _, d := range catalog.Regions {
			all = append(all, pricing.Offer{Type: t.Name, Region: d.Name, USD: t.OnDemandUSD()})
		}
	}
	return all
}

// describeSpotPriceHistory returns the current price of each type in each zone.
func describeSpotPriceHistory(c *call) (any, error) {
	var found []spotPrice
	for _, t := range catalog.Types {
		for n, z := range c.r.Zones {
			if !t.OfferedIn(z.Name) || !api.Contains(c.Params.List("InstanceType"), t.Name) {
				continue
			}
			if zone := c.Params.Get("AvailabilityZone"); zone != "" && zone != z.Name {
				continue
			}
			price := spotPrice{t.Name, "Linux/UNIX", fmt.Sprintf("%.6f", t.SpotUSD(n)), api.Stamp(c.Now), z.Name}
			ok, err := c.Matches(api.TagList{}, func(name string) ([]string, bool) {
				value, ok := map[string]string{
					"instance-type": price.Type, "availability-zone": price.Zone, "product-description": price.Product, "spot-price": price.Price, "timestamp": price.Time,
				}[name]
				return []string{value}, ok
			})
			if err != nil {
				return nil, err
			}
			if ok && api.Contains(c.Params.List("ProductDescription"), price.Product) {
				found = append(found, price)
			}
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Prices query.Set[spotPrice] `xml:"spotPriceHistorySet"`
		Next   string               `xml:"nextToken"`
	}{set, next}, err
}
