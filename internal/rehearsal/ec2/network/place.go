// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Place returns the subnet of a launch: the requested one, the default subnet of the
// requested zone, or that of the first zone with the type.
func (c *Call) Place(p, card query.Params, kind *catalog.Type) (*Subnet, error) {
	zone := p.Get("Placement.AvailabilityZone")
	if id := card.Or("SubnetId", p.Get("SubnetId")); id != "" {
		net, err := c.subnet(id)
		if err != nil {
			return nil, err
		}
		if zone != "" && zone != net.Zone {
			return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. The subnet '%s' is in the Availability Zone '%s'.", zone, id, net.Zone)
		}
		if !kind.OfferedIn(net.Zone) {
			return nil, c.notOffered(kind, net.Zone)
		}
		return net, nil
	}
	hasSubnet := false
	for _, net := range c.Net.subnets.All() {
		switch hasSubnet = hasSubnet || net.DefaultAZ; {
		case !net.DefaultAZ || zone != "" && net.Zone != zone:
		case kind.OfferedIn(net.Zone):
			return net, nil
		case zone != "":
			return nil, c.notOffered(kind, zone)
		}
	}
	switch {
	case !c.hasDefaultVPC():
		return nil, errNoDefaultVPC
	case zone == "" && hasSubnet:
		return nil, query.Errorf("Unsupported", "The requested configuration is currently not supported. Please check the documentation for supported configurations.")
	case zone == "":
		return nil, query.Errorf("MissingInput", "No subnets found for the default VPC '%s'. Please specify a subnet.", c.Net.DefaultVPC.VpcID)
	}
	return nil, query.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", zone)
}

// hasDefaultVPC reports whether the region's default VPC still exists.
func (c *Call) hasDefaultVPC() bool {
	_, err := c.vpc(c.Net.DefaultVPC.VpcID)
	return err == nil
}

var errNoDefaultVPC = query.Errorf("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")

// notOffered returns an error with the zones that offer a type.
func (c *Call) notOffered(kind *catalog.Type, zone string) error {
	var offered []string
	for _, z := range c.Net.Zones {
		if kind.OfferedIn(z.Name) {
			offered = append(offered, z.Name)
		}
	}
	return query.Errorf("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing %s.", kind.Name, zone, strings.Join(offered, ", "))
}

// Stand returns the subnet that stands for one of an Auto Scaling group, and its zone: the
// subnet itself or, since a published template names subnets of the user's accounts, the
// default subnet of the first zone, which offers every type. Both are empty for an id
// that is not one of a subnet.
func (c *Call) Stand(id string) (subnet, zone string) {
	if net, err := c.subnet(id); err == nil {
		return net.SubnetID, net.Zone
	}
	for _, net := range c.Net.subnets.All() {
		if api.WellFormed(id, "subnet") && net.DefaultAZ {
			return net.SubnetID, net.Zone
		}
	}
	return "", ""
}
