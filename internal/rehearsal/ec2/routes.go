// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Every VPC is the default one, whose main route table leads all its subnets
// to the internet.

type routeTable struct {
	ID           string                      `xml:"routeTableId"`
	VpcID        string                      `xml:"vpcId"`
	OwnerID      string                      `xml:"ownerId"`
	Routes       query.Set[route]            `xml:"routeSet"`
	Associations query.Set[routeAssociation] `xml:"associationSet"`
	Tags         tagList                     `xml:"tagSet"`
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

func describeRouteTables(c *call) (any, error) {
	id := hashID("rtb", c.r.name)
	t := routeTable{
		ID: id, VpcID: c.r.vpc.VpcID, OwnerID: c.r.vpc.OwnerID,
		Routes: query.SetOf(
			route{c.r.vpc.Cidr, "local", "active", "CreateRouteTable"},
			route{"0.0.0.0/0", hashID("igw", c.r.name), "active", "CreateRoute"},
		),
		Associations: query.SetOf(routeAssociation{hashID("rtbassoc", c.r.name), id, true}),
	}
	for _, asked := range c.p.List("RouteTableId") {
		if asked != id {
			return nil, query.Errorf("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", asked)
		}
	}
	var found []routeTable
	ok, err := c.matches(t.Tags, func(name string) ([]string, bool) {
		value, ok := map[string]string{
			"vpc-id": t.VpcID, "route-table-id": id, "owner-id": t.OwnerID, "association.main": strconv.FormatBool(true),
			"association.subnet-id": "", "association.route-table-id": id, "route.gateway-id": t.Routes.Items[1].Gateway,
		}[name]
		return []string{value}, ok
	})
	if err != nil {
		return nil, err
	}
	if ok {
		found = append(found, t)
	}
	set, next, err := page(c, found, 5)
	return struct {
		Tables query.Set[routeTable] `xml:"routeTableSet"`
		Next   string                `xml:"nextToken,omitempty"`
	}{set, next}, err
}
