// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// routeTable is the main route table of a VPC, its only one. The default VPC routes to
// the internet; other VPCs only have the local route.
type routeTable struct {
	ID           string                      `xml:"routeTableId"`
	VpcID        string                      `xml:"vpcId"`
	OwnerID      string                      `xml:"ownerId"`
	Routes       query.Set[route]            `xml:"routeSet"`
	Associations query.Set[routeAssociation] `xml:"associationSet"`
	Tags         api.TagList                 `xml:"tagSet"`
}

type route struct {
	Cidr    string `xml:"destinationCidrBlock"`
	Gateway string `xml:"gatewayId"`
	State   string `xml:"state"`
	Origin  string `xml:"origin"`
}

type routeAssociation struct {
	ID      string `xml:"routeTableAssociationId"`
	TableID string `xml:"routeTableId"`
	Main    bool   `xml:"main"`
}

func describeRouteTables(c *Call) (any, error) {
	var found []routeTable
	known := map[string]bool{}
	for _, v := range c.Net.vpcs.All() {
		t := c.mainTable(v)
		known[t.ID] = true
		ok, err := c.Matches(t.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"vpc-id": t.VpcID, "route-table-id": t.ID, "owner-id": t.OwnerID, "association.main": strconv.FormatBool(true),
				"association.subnet-id": "", "association.route-table-id": t.ID, "route.gateway-id": t.Routes.Items[len(t.Routes.Items)-1].Gateway,
			}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(c.Params.List("RouteTableId"), t.ID) {
			found = append(found, t)
		}
	}
	for _, requested := range c.Params.List("RouteTableId") {
		if !known[requested] {
			return nil, query.Errorf("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", requested)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Tables query.Set[routeTable] `xml:"routeTableSet"`
		Next   string                `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func (c *Call) mainTable(v *VPC) routeTable {
	name := v.VpcID
	if v.IsDefault {
		name = c.Net.Name
	}
	t := routeTable{
		ID: store.HashID("rtb", name), VpcID: v.VpcID, OwnerID: v.OwnerID, Routes: query.SetOf(route{v.Cidr, "local", "active", "CreateRouteTable"}),
		Associations: query.SetOf(routeAssociation{store.HashID("rtbassoc", name), store.HashID("rtb", name), true}),
	}
	if v.IsDefault {
		t.Routes.Items = append(t.Routes.Items, route{"0.0.0.0/0", store.HashID("igw", c.Net.Name), "active", "CreateRoute"})
	}
	return t
}
