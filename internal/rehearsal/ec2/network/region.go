// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package network simulates EC2's networks and the access to machines in them: VPCs,
// subnets, route tables, security groups and key pairs.
package network

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
)

// Region contains the networks and key pairs of one region.
type Region struct {
	Name       string
	Zones      []Zone
	DefaultVPC *VPC                  // still set after it is deleted
	Keys       store.Table[*KeyPair] // by name
	Groups     store.Table[*Group]

	vpcs    store.Table[*VPC]
	subnets store.Table[*Subnet]
}

// Zone is an Availability Zone.
type Zone struct{ Name, ID string }

// Call is a request in a region.
type Call struct {
	*api.Request
	Net *Region
	// InUse reports whether an instance is in the subnet or the security group of
	// that id.
	InUse func(id string) bool
}

// NewRegion returns a region with the default network of a new account.
func NewRegion(name, account string, zones []Zone) *Region {
	r := &Region{Name: name, Zones: zones}
	r.seedNetwork(account)
	return r
}

func (r *Region) seedNetwork(account string) {
	r.DefaultVPC = r.newVPC(account, store.HashID("vpc", r.Name), "172.31.0.0/16", "default", true)
	for i, z := range r.Zones {
		id := store.HashID("subnet", z.Name)
		r.subnets.Put(id, &Subnet{
			ZoneID: z.ID, OwnerID: account, Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", r.Name, account, id), SubnetID: id,
			State: "available", VpcID: r.DefaultVPC.VpcID, Cidr: fmt.Sprintf("172.31.%d.0/20", 16*i), Available: 4091, Zone: z.Name,
			DefaultAZ: true, MapPublic: true,
		})
	}
}

// Tags calls add for every resource in the region.
func (r *Region) Tags(add func(id, kind string, tags *api.TagList)) {
	for _, v := range r.vpcs.All() {
		add(v.VpcID, "vpc", &v.Tags)
	}
	for _, v := range r.subnets.All() {
		add(v.SubnetID, "subnet", &v.Tags)
	}
	for _, v := range r.Groups.All() {
		add(v.GroupID, "security-group", &v.Tags)
		for _, rule := range v.rules {
			add(rule.RuleID, "security-group-rule", &rule.Tags)
		}
	}
	for _, v := range r.Keys.All() {
		add(v.KeyPairID, "key-pair", &v.Tags)
	}
}
