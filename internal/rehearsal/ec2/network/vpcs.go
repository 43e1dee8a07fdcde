// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Every region has the default network of a new account: a default VPC with a public
// subnet in each zone. A created VPC has no internet gateway.

// VPC is a virtual private cloud.
type VPC struct {
	OwnerID   string               `xml:"ownerId"`
	Tenancy   string               `xml:"instanceTenancy"`
	Cidrs     query.Set[cidrBlock] `xml:"cidrBlockAssociationSet"`
	IsDefault bool                 `xml:"isDefault"`
	Tags      api.TagList          `xml:"tagSet"`
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

// Subnet is a subnet of a VPC.
type Subnet struct {
	ZoneID     string      `xml:"availabilityZoneId"`
	OwnerID    string      `xml:"ownerId"`
	Tags       api.TagList `xml:"tagSet"`
	Arn        string      `xml:"subnetArn"`
	SubnetID   string      `xml:"subnetId"`
	State      string      `xml:"state"`
	VpcID      string      `xml:"vpcId"`
	Cidr       string      `xml:"cidrBlock"`
	Available  int         `xml:"availableIpAddressCount"`
	Zone       string      `xml:"availabilityZone"`
	DefaultAZ  bool        `xml:"defaultForAz"`
	MapPublic  bool        `xml:"mapPublicIpOnLaunch"`
	AssignIPv6 bool        `xml:"assignIpv6AddressOnCreation"`
}

func describeVpcs(c *Call) (any, error) {
	for _, id := range c.Params.List("VpcId") {
		if _, err := c.vpc(id); err != nil {
			return nil, err
		}
	}
	var found []*VPC
	for _, v := range c.Net.vpcs.All() {
		ok, err := c.Matches(v.Tags, func(name string) ([]string, bool) {
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
		if ok && api.Contains(c.Params.List("VpcId"), v.VpcID) {
			found = append(found, v)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Vpcs query.Set[*VPC] `xml:"vpcSet"`
		Next string          `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func describeVpcAttribute(c *Call) (any, error) {
	v, err := c.vpc(c.Params.Get("VpcId"))
	if err != nil {
		return nil, err
	}
	answer := struct {
		VpcID     string         `xml:"vpcId"`
		Hostnames *api.BoolValue `xml:"enableDnsHostnames"`
		Support   *api.BoolValue `xml:"enableDnsSupport"`
	}{VpcID: v.VpcID}
	switch name := c.Params.Get("Attribute"); name {
	case "enableDnsHostnames":
		answer.Hostnames = &api.BoolValue{Value: v.IsDefault}
	case "enableDnsSupport":
		answer.Support = &api.BoolValue{Value: true}
	default:
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return answer, nil
}

func (c *Call) vpc(id string) (*VPC, error) {
	if v, ok := c.Net.vpcs.Get(id); ok {
		return v, nil
	}
	return nil, query.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

func (c *Call) subnet(id string) (*Subnet, error) {
	if v, ok := c.Net.subnets.Get(id); ok {
		return v, nil
	}
	return nil, query.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func describeSubnets(c *Call) (any, error) {
	for _, id := range c.Params.List("SubnetId") {
		if _, err := c.subnet(id); err != nil {
			return nil, err
		}
	}
	var found []*Subnet
	for _, v := range c.Net.subnets.All() {
		ok, err := c.Matches(v.Tags, func(name string) ([]string, bool) {
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
		if ok && api.Contains(c.Params.List("SubnetId"), v.SubnetID) {
			found = append(found, v)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Subnets query.Set[*Subnet] `xml:"subnetSet"`
		Next    string             `xml:"nextToken,omitempty"`
	}{set, next}, err
}
