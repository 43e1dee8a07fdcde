// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"sort"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// regionData are the commercial regions with the letters of their zones, as
// AWS listed them in 2026. Those marked with optIn are closed to a new account.
var regionData = []struct {
	name, zones string
	optIn       bool
}{
	{"af-south-1", "abc", true},
	{"ap-east-1", "abc", true},
	{"ap-east-2", "abc", true},
	{"ap-northeast-1", "acd", false},
	{"ap-northeast-2", "abcd", false},
	{"ap-northeast-3", "abc", false},
	{"ap-south-1", "abc", false},
	{"ap-south-2", "abc", true},
	{"ap-southeast-1", "abc", false},
	{"ap-southeast-2", "abc", false},
	{"ap-southeast-3", "abc", true},
	{"ap-southeast-4", "abc", true},
	{"ap-southeast-5", "abc", true},
	{"ap-southeast-6", "abc", true},
	{"ap-southeast-7", "abc", true},
	{"ca-central-1", "abd", false},
	{"ca-west-1", "abc", true},
	{"eu-central-1", "abc", false},
	{"eu-central-2", "abc", true},
	{"eu-north-1", "abc", false},
	{"eu-south-1", "abc", true},
	{"eu-south-2", "abc", true},
	{"eu-west-1", "abc", false},
	{"eu-west-2", "abc", false},
	{"eu-west-3", "abc", false},
	{"il-central-1", "abc", true},
	{"me-central-1", "abc", true},
	{"me-south-1", "abc", true},
	{"mx-central-1", "abc", true},
	{"sa-east-1", "abc", false},
	{"us-east-1", "abcdef", false},
	{"us-east-2", "abc", false},
	{"us-west-1", "ac", false},
	{"us-west-2", "abcd", false},
}

// region is the state of one region.
type region struct {
	name    string
	optIn   string // opt-in-not-required, not-opted-in
	zones   []zone
	vpc     *vpc
	subnets table[*subnet]

	images       table[*image]
	instances    table[*instanceT]
	snapshots    table[*snapshotT]
	volumes      table[*volume]
	keys         table[*keyPair] // by name
	groups       table[*group]
	templates    table[*launchTemplate]
	fleets       table[*fleet]
	reservations table[*capacityT]
	gone         map[string]bool // ids of deregistered images
	blocking     blocking
	encryption   encryption

	tokens map[string]*remembered // by action and client token
}

// remembered is the answer that a client token stands for.
type remembered struct {
	params query.Params
	ids    []string
}

type zone struct{ name, id string }

func (r *region) optedIn() bool { return r.optIn != "not-opted-in" }

func (s *Service) newRegion(d struct {
	name, zones string
	optIn       bool
}) *region {
	r := &region{name: d.name, optIn: "opt-in-not-required", gone: map[string]bool{}, tokens: map[string]*remembered{}}
	if d.optIn && !s.cfg.OptIn {
		r.optIn = "not-opted-in"
	}
	for i, letter := range d.zones {
		r.zones = append(r.zones, zone{d.name + string(letter), zoneID(d.name, i+1)})
	}
	r.seedNetwork(s.cfg.AccountID)
	r.seedImages()
	return r
}

// zoneID returns the id that a zone has in every account: use1-az1 for the
// first of us-east-1.
func zoneID(region string, number int) string {
	short := strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c", "-", "").Replace(region)
	return short + "-az" + string(rune('0'+number))
}

type regionInfo struct {
	OptIn    string `xml:"optInStatus"`
	Name     string `xml:"regionName"`
	Endpoint string `xml:"regionEndpoint"`
}

func describeRegions(c *call) (any, error) {
	names := c.p.List("RegionName")
	for _, name := range names {
		if c.s.regions[name] == nil {
			return nil, query.Errorf("InvalidParameterValue", "Invalid region names: %s", name)
		}
	}
	var out query.Set[regionInfo]
	for _, name := range c.s.Regions() {
		r := c.s.regions[name]
		info := regionInfo{r.optIn, r.name, "ec2." + r.name + ".amazonaws.com"}
		ok, err := c.matches(tagList{}, func(name string) ([]string, bool) {
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
		asked := len(names) > 0 || c.p.Bool("AllRegions", false)
		if ok && contains(names, name) && (asked || r.optedIn()) {
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
	for _, z := range c.r.zones {
		known[z.name], known[z.id] = true, true
		info := zoneInfo{
			OptIn: "opt-in-not-required", Region: c.r.name, Name: z.name, ID: z.id,
			Group: c.r.name + "-zg-1", Border: c.r.name, Kind: "availability-zone", State: "available",
		}
		ok, err := c.matches(tagList{}, func(name string) ([]string, bool) {
			v, ok := map[string]string{
				"zone-name": info.Name, "zone-id": info.ID, "region-name": info.Region, "state": info.State, "zone-type": info.Kind,
				"opt-in-status": info.OptIn, "group-name": info.Group,
			}[name]
			return []string{v}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(c.p.List("ZoneName"), z.name) && contains(c.p.List("ZoneId"), z.id) {
			out.Items = append(out.Items, info)
		}
	}
	for _, name := range append(c.p.List("ZoneName"), c.p.List("ZoneId")...) {
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
		"supported-platforms": "VPC", "default-vpc": c.r.vpc.VpcID, "max-instances": "20",
		"vpc-max-security-groups-per-interface": "5", "max-elastic-ips": "5", "vpc-max-elastic-ips": "5",
	}
	var out query.Set[accountAttribute]
	for name, value := range all {
		if contains(c.p.List("AttributeName"), name) {
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
