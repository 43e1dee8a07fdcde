// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"fmt"
	"net/netip"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// newVPC adds a VPC with its default security group.
func (r *Region) newVPC(account, id, cidr, tenancy string, isDefault bool) *VPC {
	v := &VPC{
		OwnerID: account, Tenancy: tenancy, IsDefault: isDefault, State: "available", Cidr: cidr, VpcID: id, DhcpID: store.HashID("dopt", r.Name),
	}
	block := cidrBlock{ID: store.HashID("vpc-cidr-assoc", id), Cidr: cidr}
	block.State.State = "associated"
	v.Cidrs = query.SetOf(block)
	r.vpcs.Put(id, v)
	g := &Group{
		GroupID: store.HashID("sg", id), Name: "default", Description: "default VPC security group", OwnerID: account, VpcID: id, Seeded: true,
		Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", r.Name, account, store.HashID("sg", id)),
	}
	g.rules = []*rule{
		{RuleID: store.HashID("sgr", id, "out"), GroupID: g.GroupID, OwnerID: account, Egress: true, Protocol: "-1", From: -1, To: -1, Cidr4: "0.0.0.0/0"},
		{RuleID: store.HashID("sgr", id, "in"), GroupID: g.GroupID, OwnerID: account, Protocol: "-1", From: -1, To: -1, Peer: &peer{GroupID: g.GroupID, UserID: account}},
	}
	r.Groups.Put(g.GroupID, g)
	return v
}

func createVpc(c *Call) (any, error) {
	block, err := netip.ParsePrefix(c.Params.Get("CidrBlock"))
	if err != nil || !block.Addr().Is4() {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", c.Params.Get("CidrBlock"))
	}
	if block.Bits() < 16 || block.Bits() > 28 {
		return nil, query.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", block)
	}
	tags, err := c.TagsFor("vpc")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v := c.Net.newVPC(c.Account, c.IDs.Next("vpc"), block.Masked().String(), c.Params.Or("InstanceTenancy", "default"), false)
	v.Tags = tags
	return struct {
		Vpc *VPC `xml:"vpc"`
	}{v}, nil
}

func createSubnet(c *Call) (any, error) {
	v, err := c.vpc(c.Params.Get("VpcId"))
	if err != nil {
		return nil, err
	}
	block, err := netip.ParsePrefix(c.Params.Get("CidrBlock"))
	if err != nil || !block.Addr().Is4() {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", c.Params.Get("CidrBlock"))
	}
	block = block.Masked()
	whole := netip.MustParsePrefix(v.Cidr)
	if block.Bits() < whole.Bits() || block.Bits() > 28 || !whole.Contains(block.Addr()) {
		return nil, query.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", block)
	}
	for _, other := range c.Net.subnets.All() {
		if other.VpcID == v.VpcID && netip.MustParsePrefix(other.Cidr).Overlaps(block) {
			return nil, query.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", block)
		}
	}
	at := c.Net.Zones[0]
	if name := c.Params.Get("AvailabilityZone"); name != "" {
		at = Zone{}
		for _, z := range c.Net.Zones {
			if z.Name == name {
				at = z
			}
		}
		if at.Name == "" {
			return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the availability zones of %s.", name, c.Net.Name)
		}
	}
	tags, err := c.TagsFor("subnet")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	id := c.IDs.Next("subnet")
	made := &Subnet{
		ZoneID: at.ID, OwnerID: c.Account, Tags: tags, Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", c.Net.Name, c.Account, id),
		SubnetID: id, State: "available", VpcID: v.VpcID, Cidr: block.String(), Available: 1<<(32-block.Bits()) - 5, Zone: at.Name,
	}
	c.Net.subnets.Put(id, made)
	return struct {
		Subnet *Subnet `xml:"subnet"`
	}{made}, nil
}

func modifySubnetAttribute(c *Call) (any, error) {
	v, err := c.subnet(c.Params.Get("SubnetId"))
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v.MapPublic = c.Params.Bool("MapPublicIpOnLaunch.Value", v.MapPublic)
	return api.Success, nil
}

func deleteSubnet(c *Call) (any, error) {
	v, err := c.subnet(c.Params.Get("SubnetId"))
	if err != nil {
		return nil, err
	}
	if c.InUse(v.SubnetID) {
		return nil, query.Errorf("DependencyViolation", "The resource '%s' has dependencies and cannot be deleted.", v.SubnetID)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.Net.subnets.Remove(v.SubnetID)
	return api.Success, nil
}

func deleteVpc(c *Call) (any, error) {
	v, err := c.vpc(c.Params.Get("VpcId"))
	if err != nil {
		return nil, err
	}
	for _, other := range c.Net.subnets.All() {
		if other.VpcID == v.VpcID {
			return nil, query.Errorf("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", v.VpcID)
		}
	}
	for _, g := range c.Net.Groups.All() {
		if g.VpcID == v.VpcID && !g.Seeded {
			return nil, query.Errorf("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", v.VpcID)
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.Net.vpcs.Remove(v.VpcID)
	for _, g := range c.Net.Groups.All() {
		if g.VpcID == v.VpcID {
			c.Net.Groups.Remove(g.GroupID)
		}
	}
	return api.Success, nil
}
