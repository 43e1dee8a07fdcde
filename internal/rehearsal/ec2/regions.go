// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"sort"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// region is the state of one region.
type region struct {
	*network.Region
	optIn string // opt-in-not-required, not-opted-in

	images       store.Table[*image]
	instances    store.Table[*instanceT]
	snapshots    store.Table[*snapshotT]
	volumes      store.Table[*volume]
	templates    store.Table[*launchTemplate]
	fleets       store.Table[*fleet]
	reservations store.Table[*capacityT]
	offerings    store.Table[*blockOffering]
	deregistered map[string]bool      // ids of deregistered images
	freed        map[string]freedName // by name
	blocking     blocking
	encryption   encryption

	tokens api.Tokens
}

func (r *region) optedIn() bool { return r.optIn != "not-opted-in" }

func (s *Service) newRegion(d catalog.Region) *region {
	r := &region{optIn: "opt-in-not-required", deregistered: map[string]bool{}, freed: map[string]freedName{}, tokens: api.Tokens{}}
	if d.OptIn && !s.cfg.OptIn {
		r.optIn = "not-opted-in"
	}
	var zones []network.Zone
	for i, letter := range d.Zones {
		zones = append(zones, network.Zone{Name: d.Name + string(letter), ID: catalog.ZoneID(d.Name, i+1)})
	}
	r.Region = network.NewRegion(d.Name, s.cfg.AccountID, zones)
	r.seedImages()
	return r
}

type regionInfo struct {
	OptIn    string `xml:"optInStatus"`
	Name     string `xml:"regionName"`
	Endpoint string `xml:"regionEndpoint"`
}

func describeRegions(c *call) (any, error) {
	names := c.Params.List("RegionName")
	for _, name := range names {
		if c.s.regions[name] == nil {
			return nil, query.Errorf("InvalidParameterValue", "Invalid region names: %s", name)
		}
	}
	var out query.Set[regionInfo]
	for _, name := range c.s.Regions() {
		r := c.s.regions[name]
		info := regionInfo{r.optIn, r.Name, "ec2." + r.Name + ".amazonaws.com"}
		ok, err := c.Matches(api.TagList{}, func(name string) ([]string, bool) {
			switch name {
			case "region-name":
				return []string{info.Name}, true
			case "opt-in-status":
				return []string{info.OptIn}, true
			case "endpoint":
				return []string{info.Endpoint}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		requested := len(names) > 0 || c.Params.Bool("AllRegions", false)
		if ok && api.Contains(names, name) && (requested || r.optedIn()) {
			out.Items = append(out.Items, info)
		}
	}
	return struct {
		Regions query.Set[regionInfo] `xml:"regionInfo"`
	}{out}, nil
}

type zoneInfo struct {
	OptIn    string              `xml:"optInStatus"`
	Messages query.Set[struct{}] `xml:"messageSet"`
	Region   string              `xml:"regionName"`
	Name     string              `xml:"zoneName"`
	ID       string              `xml:"zoneId"`
	Group    string              `xml:"groupName"`
	Border   string              `xml:"networkBorderGroup"`
	Kind     string              `xml:"zoneType"`
	State    string              `xml:"zoneState"`
}

func describeAvailabilityZones(c *call) (any, error) {
	var out query.Set[zoneInfo]
	known := map[string]bool{}
	for _, z := range c.r.Zones {
		known[z.Name], known[z.ID] = true, true
		info := zoneInfo{
			OptIn: "opt-in-not-required", Region: c.r.Name, Name: z.Name, ID: z.ID,
			Group: c.r.Name + "-zg-1", Border: c.r.Name, Kind: "availability-zone", State: "available",
		}
		ok, err := c.Matches(api.TagList{}, func(name string) ([]string, bool) {
			v, ok := map[string]string{
				"zone-name": info.Name, "zone-id": info.ID, "region-name": info.Region, "state": info.State, "zone-type": info.Kind,
				"opt-in-status": info.OptIn, "group-name": info.Group,
			}[name]
			return []string{v}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(c.Params.List("ZoneName"), z.Name) && api.Contains(c.Params.List("ZoneId"), z.ID) {
			out.Items = append(out.Items, info)
		}
	}
	for _, name := range append(c.Params.List("ZoneName"), c.Params.List("ZoneId")...) {
		if !known[name] {
			return nil, query.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	return struct {
		Zones query.Set[zoneInfo] `xml:"availabilityZoneInfo"`
	}{out}, nil
}

type accountAttribute struct {
	Name   string `xml:"attributeName"`
	Values query.Set[struct {
		Value string `xml:"attributeValue"`
	}] `xml:"attributeValueSet"`
}

func describeAccountAttributes(c *call) (any, error) {
	all := map[string]string{
		"supported-platforms": "VPC", "default-vpc": c.r.DefaultVPC.VpcID, "max-instances": "20",
		"vpc-max-security-groups-per-interface": "5", "max-elastic-ips": "5", "vpc-max-elastic-ips": "5",
	}
	var out query.Set[accountAttribute]
	for name, value := range all {
		if api.Contains(c.Params.List("AttributeName"), name) {
			a := accountAttribute{Name: name}
			a.Values.Items = append(a.Values.Items, struct {
				Value string `xml:"attributeValue"`
			}{value})
			out.Items = append(out.Items, a)
		}
	}
	sort.Slice(out.Items, func(i, j int) bool { return out.Items[i].Name < out.Items[j].Name })
	return struct {
		Attributes query.Set[accountAttribute] `xml:"accountAttributeSet"`
	}{out}, nil
}
