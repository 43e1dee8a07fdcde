// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"fmt"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Every region has the network that AWS gives to a new account: a default VPC
// with a public subnet in each zone. Nothing else can be made.

type vpc struct {
	OwnerID   string               `xml:"ownerId"`
	Tenancy   string               `xml:"instanceTenancy"`
	Cidrs     query.Set[cidrBlock] `xml:"cidrBlockAssociationSet"`
	IsDefault bool                 `xml:"isDefault"`
	Tags      tagList              `xml:"tagSet"`
	VpcID     string               `xml:"vpcId"`
	State     string               `xml:"state"`
	Cidr      string               `xml:"cidrBlock"`
	DhcpID    string               `xml:"dhcpOptionsId"`
}

type cidrBlock struct {
	ID    string `xml:"associationId"`
	Cidr  string `xml:"cidrBlock"`
	State struct {
		State string `xml:"state"`
	} `xml:"cidrBlockState"`
}

type subnet struct {
	ZoneID     string  `xml:"availabilityZoneId"`
	OwnerID    string  `xml:"ownerId"`
	Tags       tagList `xml:"tagSet"`
	Arn        string  `xml:"subnetArn"`
	SubnetID   string  `xml:"subnetId"`
	State      string  `xml:"state"`
	VpcID      string  `xml:"vpcId"`
	Cidr       string  `xml:"cidrBlock"`
	Available  int     `xml:"availableIpAddressCount"`
	Zone       string  `xml:"availabilityZone"`
	DefaultAZ  bool    `xml:"defaultForAz"`
	MapPublic  bool    `xml:"mapPublicIpOnLaunch"`
	AssignIPv6 bool    `xml:"assignIpv6AddressOnCreation"`
}

func (r *region) seedNetwork(account string) {
	r.vpc = &vpc{
		OwnerID: account, Tenancy: "default", IsDefault: true, State: "available", Cidr: "172.31.0.0/16",
		VpcID: hashID("vpc", r.name), DhcpID: hashID("dopt", r.name),
	}
	block := cidrBlock{ID: hashID("vpc-cidr-assoc", r.name), Cidr: r.vpc.Cidr}
	block.State.State = "associated"
	r.vpc.Cidrs = query.SetOf(block)
	for i, z := range r.zones {
		id := hashID("subnet", z.name)
		r.subnets.put(id, &subnet{
			ZoneID: z.id, OwnerID: account, Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", r.name, account, id), SubnetID: id,
			State: "available", VpcID: r.vpc.VpcID, Cidr: fmt.Sprintf("172.31.%d.0/20", 16*i), Available: 4091, Zone: z.name,
			DefaultAZ: true, MapPublic: true,
		})
	}
	g := &group{
		GroupID: hashID("sg", r.name), Name: "default", Description: "default VPC security group", OwnerID: account, VpcID: r.vpc.VpcID, seeded: true,
		Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", r.name, account, hashID("sg", r.name)),
	}
	g.rules = []*rule{
		{RuleID: hashID("sgr", r.name, "out"), GroupID: g.GroupID, OwnerID: account, Egress: true, Protocol: "-1", From: -1, To: -1, Cidr4: "0.0.0.0/0"},
		{RuleID: hashID("sgr", r.name, "in"), GroupID: g.GroupID, OwnerID: account, Protocol: "-1", From: -1, To: -1, Peer: &peer{GroupID: g.GroupID, UserID: account}},
	}
	r.groups.put(g.GroupID, g)
}

func describeVpcs(c *call) (any, error) {
	v := c.r.vpc
	for _, id := range c.p.List("VpcId") {
		if id != v.VpcID {
			return nil, query.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
		}
	}
	var found []*vpc
	ok, err := c.matches(v.Tags, func(name string) ([]string, bool) {
		value, ok := map[string]string{
			"vpc-id": v.VpcID, "is-default": strconv.FormatBool(v.IsDefault), "isDefault": strconv.FormatBool(v.IsDefault),
			"state": v.State, "cidr": v.Cidr, "cidr-block": v.Cidr, "owner-id": v.OwnerID, "dhcp-options-id": v.DhcpID,
			"cidr-block-association.cidr-block": v.Cidr,
		}[name]
		return []string{value}, ok
	})
	if err != nil {
		return nil, err
	}
	if ok {
		found = append(found, v)
	}
	set, next, err := page(c, found, 5)
	return struct {
		Vpcs query.Set[*vpc] `xml:"vpcSet"`
		Next string          `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func describeVpcAttribute(c *call) (any, error) {
	if c.p.Get("VpcId") != c.r.vpc.VpcID {
		return nil, query.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", c.p.Get("VpcId"))
	}
	answer := struct {
		VpcID     string     `xml:"vpcId"`
		Hostnames *boolValue `xml:"enableDnsHostnames"`
		Support   *boolValue `xml:"enableDnsSupport"`
	}{VpcID: c.r.vpc.VpcID}
	switch name := c.p.Get("Attribute"); name {
	case "enableDnsHostnames":
		answer.Hostnames = &boolValue{true}
	case "enableDnsSupport":
		answer.Support = &boolValue{true}
	default:
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return answer, nil
}

type boolValue struct {
	Value bool `xml:"value"`
}

type textValue struct {
	Value string `xml:"value"`
}

func (c *call) subnet(id string) (*subnet, error) {
	if v, ok := c.r.subnets.get(id); ok {
		return v, nil
	}
	return nil, query.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func describeSubnets(c *call) (any, error) {
	for _, id := range c.p.List("SubnetId") {
		if _, err := c.subnet(id); err != nil {
			return nil, err
		}
	}
	var found []*subnet
	for _, v := range c.r.subnets.all() {
		ok, err := c.matches(v.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"subnet-id": v.SubnetID, "vpc-id": v.VpcID, "state": v.State, "availability-zone": v.Zone, "availabilityZone": v.Zone,
				"availability-zone-id": v.ZoneID, "default-for-az": strconv.FormatBool(v.DefaultAZ), "defaultForAz": strconv.FormatBool(v.DefaultAZ),
				"cidr-block": v.Cidr, "cidr": v.Cidr, "owner-id": v.OwnerID, "subnet-arn": v.Arn,
				"map-public-ip-on-launch": strconv.FormatBool(v.MapPublic), "available-ip-address-count": strconv.Itoa(v.Available),
			}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(c.p.List("SubnetId"), v.SubnetID) {
			found = append(found, v)
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Subnets query.Set[*subnet] `xml:"subnetSet"`
		Next    string             `xml:"nextToken,omitempty"`
	}{set, next}, err
}
