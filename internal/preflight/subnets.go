// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Address selects how the build connects to the instance.
type Address int

// The values of Address.
const (
	AnyAddress    Address = iota // by its public address if the subnet assigns one, else by its private address
	SubnetAddress                // by the public address that the subnet must assign
	PublicAddress                // by the public address that it requests
	OtherAddress                 // by another address, or not at all
)

// subnets checks the network, and the subnets chosen by the user.
func (p *plan) subnets(ctx context.Context, n *notes) {
	net, err := p.network()
	if err != nil {
		// The build makes the same request later, and would fail.
		f := Finding{Value: err.Error()}
		switch code := awsclient.Code(err); {
		case awsclient.IsUnauthorized(err):
			f.Remedy = "or set subnet_id, vpc_id and availability_zone to skip the lookup"
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
		return // the default subnets
	}
	out, err := p.home.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids}, few)
	if code := awsclient.Code(err); strings.HasPrefix(code, "InvalidSubnet") { // set together with VPC and zone, and so not looked up before
		n.find(Finding{
			Attribute: "subnet_id", Value: fmt.Sprintf("%s is not in %s (%s)", strings.Join(ids, ", "), p.BuildRegion, code), Expected: "a subnet of the account in this region",
			Remedy: "list the subnets with aws ec2 describe-subnets --region " + p.BuildRegion,
		})
		return
	}
	if err != nil {
		n.gap("whether the subnets have available addresses", "ec2:DescribeSubnets", err)
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

// judgeSubnets checks the subnets themselves.
func judgeSubnets(net network, subnets []ec2types.Subnet, address Address) (findings []Finding) {
	for _, s := range subnets {
		id, zone, vpc := aws.ToString(s.SubnetId), aws.ToString(s.AvailabilityZone), aws.ToString(s.VpcId)
		hits := inSubnet(id)
		add := func(value, expected, remedy string) {
			findings = append(findings, Finding{Attribute: "subnet_id, subnet_ids", Value: id + " " + value, Expected: expected, Remedy: remedy, hits: hits})
		}
		if s.State != "" && s.State != ec2types.SubnetStateAvailable {
			add(fmt.Sprintf("is %s", s.State), "an available subnet", "")
		}
		if s.AvailableIpAddressCount != nil && *s.AvailableIpAddressCount < 1 {
			add("has no available address", "one or more", "choose another subnet, or terminate instances there")
		}
		if address == SubnetAddress && !aws.ToBool(s.MapPublicIpOnLaunch) {
			add("assigns no public addresses", "a public address for ssh_interface", "set associate_public_ip_address = true, or another ssh_interface")
		}
		if net.vpc != "" && vpc != net.vpc {
			add(fmt.Sprintf("is in %s, not in %s", vpc, net.vpc), "a subnet of vpc_id", "remove vpc_id")
		}
		for _, place := range net.places {
			if place.Subnet == id && place.Zone != "" && place.Zone != zone {
				add(fmt.Sprintf("is in %s, not in %s", zone, place.Zone), "a subnet of availability_zone", "remove availability_zone")
			}
		}
	}
	return findings
}

func inSubnet(id string) func(launch.Attempt) bool {
	return func(r launch.Attempt) bool { return r.Place.Subnet == id }
}

// routes returns the route tables of the subnets' VPCs.
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
		return nil, errors.New("found no route tables")
	}
	return tables, nil
}

// judgeRoutes finds the subnets without a route to the internet. A subnet without
// a table of its own uses the main table of its VPC
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
				continue // not returned
			}
		}
		if address == AnyAddress && !aws.ToBool(s.MapPublicIpOnLaunch) {
			continue
		}
		f := Finding{
			Attribute: "subnet_id, subnet_ids", Expected: "a public subnet", Remedy: "choose another subnet, or set ssh_interface = \"private_ip\" or \"session_manager\"",
		}
		switch target := exitOf(table); target {
		case internet:
			continue
		case "":
			f.Value = fmt.Sprintf("%s has no route to an internet gateway (%s), so the instance's public address is not reachable", id, aws.ToString(table.RouteTableId))
			f.hits = inSubnet(id)
		default:
			f.Value = fmt.Sprintf("%s routes public addresses to %s (%s), so the instance's public address may not be reachable", id, target, aws.ToString(table.RouteTableId))
			f.Warning = true
		}
		findings = append(findings, f)
	}
	return findings
}

// internet is the exit of a route table whose instances are reachable by their
// public addresses.
const internet = "the internet"

// exitOf returns where a route table sends the responses to public IPv4 addresses:
// internet, the id of a gateway that may lead there, or "". IPv6 routes and
// egress-only gateways do not count: a build connects to an IPv4 address. A NAT
// gateway gives the responses another address.
func exitOf(table ec2types.RouteTable) (exit string) {
	for _, r := range table.Routes {
		if r.State == ec2types.RouteStateBlackhole || !toPublic(r) {
			continue
		}
		gateway := aws.ToString(r.GatewayId)
		switch {
		case strings.HasPrefix(gateway, "igw-"), r.CarrierGatewayId != nil:
			return internet
		case strings.HasPrefix(gateway, "vpce-") && r.DestinationPrefixListId != nil: // a gateway endpoint of S3 or DynamoDB
		case strings.HasPrefix(gateway, "vpce-"), r.NetworkInterfaceId != nil, r.InstanceId != nil: // a firewall or an appliance in front of the gateway
			return internet
		case r.NatGatewayId != nil, gateway == "local":
		default:
			exit = cmp.Or(aws.ToString(r.TransitGatewayId), aws.ToString(r.LocalGatewayId), aws.ToString(r.CoreNetworkArn), aws.ToString(r.VpcPeeringConnectionId), gateway, exit)
		}
	}
	return exit
}

// toPublic reports whether a route is for public IPv4 addresses; the addresses of a
// prefix list are unknown.
func toPublic(r ec2types.Route) bool {
	if r.DestinationPrefixListId != nil {
		return true
	}
	to, err := netip.ParsePrefix(aws.ToString(r.DestinationCidrBlock))
	return err == nil && to.Addr().Is4() && !to.Addr().IsPrivate()
}
