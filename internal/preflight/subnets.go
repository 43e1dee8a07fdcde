// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Address is how the build comes to the instance.
type Address int

// How a build comes to its instance.
const (
	AnyAddress    Address = iota // by its public address if the subnet gives it one, else by its private one
	SubnetAddress                // by the public address that the subnet must give it
	PublicAddress                // by the public address that it asks for
	OtherAddress                 // by another one, or not at all
)

// subnets checks the network, and the subnets that the user chose.
func (p *plan) subnets(ctx context.Context, n *notes) {
	net, err := p.network()
	if err != nil {
		// The build asks the same later, and would end there.
		f := Finding{Value: err.Error()}
		switch code := ec2api.Code(err); {
		case ec2api.IsUnauthorized(err):
			f.Remedy = "allow it, or name subnet_id, vpc_id and availability_zone, which are then not looked up"
		case code != "" && !strings.HasPrefix(code, "Invalid"):
			n.gap("the network", "", err)
			return
		}
		n.find(f)
		return
	}
	var ids []string
	for _, place := range net.places {
		if place.Subnet != "" && !slices.Contains(ids, place.Subnet) {
			ids = append(ids, place.Subnet)
		}
	}
	if len(ids) == 0 {
		return // those that AWS has made
	}
	out, err := p.home.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids}, few)
	if code := ec2api.Code(err); strings.HasPrefix(code, "InvalidSubnet") { // named together with VPC and zone, and so never looked up
		n.find(Finding{
			Attribute: "subnet_id", Value: fmt.Sprintf("%s is not in %s (%s)", strings.Join(ids, ", "), p.BuildRegion, code), Expected: "a subnet of the account there",
			Remedy: "aws ec2 describe-subnets --region " + p.BuildRegion + " lists them",
		})
		return
	}
	if err != nil {
		n.gap("whether the subnets have free addresses", "ec2:DescribeSubnets", err)
		return
	}
	n.find(judgeSubnets(net, out.Subnets, p.Launch.Address)...)
	if p.Launch.Address == OtherAddress {
		return
	}
	routes, err := p.routes(ctx, out.Subnets)
	if err != nil {
		n.gap("whether the subnets have a route to the internet", "ec2:DescribeRouteTables", err)
		return
	}
	n.find(judgeRoutes(out.Subnets, routes, p.Launch.Address)...)
}

// judgeSubnets looks at the subnets themselves.
func judgeSubnets(net network, subnets []ec2types.Subnet, address Address) (findings []Finding) {
	for _, s := range subnets {
		id, zone, vpc := aws.ToString(s.SubnetId), aws.ToString(s.AvailabilityZone), aws.ToString(s.VpcId)
		hits := inSubnet(id)
		add := func(value, expected, remedy string) {
			findings = append(findings, Finding{Attribute: "subnet_id, subnet_ids", Value: id + " " + value, Expected: expected, Remedy: remedy, hits: hits})
		}
		if s.State != "" && s.State != ec2types.SubnetStateAvailable {
			add(fmt.Sprintf("is %s", s.State), "a subnet that is available", "")
		}
		if s.AvailableIpAddressCount != nil && *s.AvailableIpAddressCount < 1 {
			add("has no free address", "room for an instance", "name another, or end what runs there")
		}
		if address == SubnetAddress && !aws.ToBool(s.MapPublicIpOnLaunch) {
			add("gives instances no public address", "one, as ssh_interface asks for it", "set associate_public_ip_address = true, or another ssh_interface")
		}
		if net.vpc != "" && vpc != net.vpc {
			add(fmt.Sprintf("is in %s, and not in %s", vpc, net.vpc), "a subnet of vpc_id", "leave vpc_id out")
		}
		for _, place := range net.places {
			if place.Subnet == id && place.Zone != "" && place.Zone != zone {
				add(fmt.Sprintf("is in %s, and not in %s", zone, place.Zone), "a subnet of availability_zone", "leave availability_zone out")
			}
		}
	}
	return findings
}

func inSubnet(id string) func(launch.Rung) bool {
	return func(r launch.Rung) bool { return r.Place.Subnet == id }
}

// routes are the route tables of the subnets' VPCs.
func (p *plan) routes(ctx context.Context, subnets []ec2types.Subnet) ([]ec2types.RouteTable, error) {
	var vpcs []string
	for _, s := range subnets {
		if vpc := aws.ToString(s.VpcId); !slices.Contains(vpcs, vpc) {
			vpcs = append(vpcs, vpc)
		}
	}
	var tables []ec2types.RouteTable
	pages := ec2.NewDescribeRouteTablesPaginator(p.home, &ec2.DescribeRouteTablesInput{
		Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: vpcs}},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx, few)
		if err != nil {
			return nil, err
		}
		tables = append(tables, out.RouteTables...)
	}
	if len(tables) == 0 {
		return nil, errors.New("there are no route tables")
	}
	return tables, nil
}

// judgeRoutes finds the subnets where a public address is of no use. A subnet
// without a table of its own has the main one of its VPC
// (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html).
func judgeRoutes(subnets []ec2types.Subnet, tables []ec2types.RouteTable, address Address) (findings []Finding) {
	own, main := map[string]ec2types.RouteTable{}, map[string]ec2types.RouteTable{}
	for _, t := range tables {
		for _, a := range t.Associations {
			if aws.ToBool(a.Main) {
				main[aws.ToString(t.VpcId)] = t
			}
			if a.SubnetId != nil {
				own[*a.SubnetId] = t
			}
		}
	}
	for _, s := range subnets {
		id := aws.ToString(s.SubnetId)
		table, ok := own[id]
		if !ok {
			if table, ok = main[aws.ToString(s.VpcId)]; !ok {
				continue // not shown
			}
		}
		if address == AnyAddress && !aws.ToBool(s.MapPublicIpOnLaunch) || toInternet(table) {
			continue
		}
		findings = append(findings, Finding{
			Attribute: "subnet_id, subnet_ids", Value: fmt.Sprintf("%s has no route to an internet gateway (%s), so that the instance's public address cannot be reached", id, aws.ToString(table.RouteTableId)),
			Expected: "a public subnet", Remedy: "name another, or set ssh_interface = \"private_ip\" or \"session_manager\"", hits: inSubnet(id),
		})
	}
	return findings
}

func toInternet(table ec2types.RouteTable) bool {
	return slices.ContainsFunc(table.Routes, func(r ec2types.Route) bool {
		return strings.HasPrefix(aws.ToString(r.GatewayId), "igw-") && r.State != ec2types.RouteStateBlackhole
	})
}
