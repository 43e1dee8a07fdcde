// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// NetworkAPI holds the EC2 requests of the network lookup.
type NetworkAPI interface {
	ec2.DescribeSubnetsAPIClient
	ec2.DescribeVpcsAPIClient
}

// Network selects the VPC and the places of a launch. All fields are optional
// except Say and Complain.
type Network struct {
	Zones, Subnets []string // in the order to try
	VPC            string
	// VPCFilters select the VPC, and SubnetFilters the subnets: all that match, or
	// one if MostFree or Random is set.
	VPCFilters, SubnetFilters map[string]string
	MostFree, Random          bool
	// Address is set if a public address is requested or refused, which requires an
	// explicit subnet.
	Address       bool
	Say, Complain func(format string, args ...any)
}

// Find returns the VPC and the places in the order to try. It looks up only what is
// not set.
func (n Network) Find(ctx context.Context, client NetworkAPI) (vpc string, places []Place, err error) {
	zones, subnets := n.Zones, n.Subnets
	vpc = n.VPC
	if vpc == "" && len(n.VPCFilters) > 0 {
		if vpc, err = findVPC(ctx, client, n.VPCFilters); err != nil {
			return "", nil, err
		}
		n.Say("Found VPC %s", vpc)
	}
	switch {
	case len(subnets) == 1 && vpc != "" && len(zones) == 1:
		return vpc, []Place{{Zone: zones[0], Subnet: subnets[0]}}, nil
	case len(subnets) > 0:
		return namedSubnets(ctx, client, subnets, vpc, zones)
	case len(n.SubnetFilters) > 0 || vpc != "":
		return n.matchingSubnets(ctx, client, vpc)
	}
	return "", n.defaultPlaces(ctx, client), nil
}

func findVPC(ctx context.Context, client NetworkAPI, filters map[string]string) (string, error) {
	wanted, err := Filters(filters, map[string]string{"state": "available"})
	if err != nil {
		return "", fmt.Errorf("vpc_filter: %w", err)
	}
	out, err := client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: wanted})
	if err != nil {
		return "", fmt.Errorf("vpc_filter: looking for VPCs: %w", err)
	}
	if len(out.Vpcs) != 1 {
		return "", fmt.Errorf("vpc_filter: %v matches %d VPCs, want one", filters, len(out.Vpcs))
	}
	return aws.ToString(out.Vpcs[0].VpcId), nil
}

// namedSubnets looks up the VPC and the zones of subnets, and keeps their order.
func namedSubnets(ctx context.Context, client NetworkAPI, ids []string, vpc string, zones []string) (string, []Place, error) {
	out, err := client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
	if err != nil {
		return "", nil, fmt.Errorf("subnet_id, subnet_ids: looking up %s: %w", strings.Join(ids, ", "), err)
	}
	byID := map[string]ec2types.Subnet{}
	for _, s := range out.Subnets {
		byID[aws.ToString(s.SubnetId)] = s
	}
	var places []Place
	for _, id := range ids {
		s, ok := byID[id]
		zone, of := aws.ToString(s.AvailabilityZone), aws.ToString(s.VpcId)
		switch {
		case !ok:
			return "", nil, fmt.Errorf("subnet_id, subnet_ids: EC2 did not return %s", id)
		case vpc != "" && of != vpc:
			return "", nil, fmt.Errorf("subnet_id, subnet_ids: %s is in %s, but others (or vpc_id) are in %s; "+
				"want one VPC, as a security group belongs to one VPC", id, of, vpc)
		case len(zones) > 0 && !slices.Contains(zones, zone):
			return "", nil, fmt.Errorf("availability_zone: got %q, but %s is in %s; remove availability_zone", zones[0], id, zone)
		}
		vpc = of
		places = append(places, Place{Zone: zone, Subnet: id})
	}
	return vpc, places, nil
}

// matchingSubnets finds the subnets of a VPC or a filter: one if random or
// most_free is set, else all of one VPC.
func (n Network) matchingSubnets(ctx context.Context, client NetworkAPI, vpc string) (string, []Place, error) {
	zones := n.Zones
	also := map[string]string{"state": "available"}
	if vpc != "" {
		also["vpc-id"] = vpc
	}
	if len(zones) > 0 {
		also["availability-zone"] = strings.Join(zones, ",")
	}
	what := fmt.Sprintf("subnet_filter: %v", n.SubnetFilters)
	if len(n.SubnetFilters) == 0 {
		what = fmt.Sprintf("vpc_id: %s", vpc)
	}
	if len(zones) > 0 {
		what += " in " + strings.Join(zones, ", ")
	}
	wanted, err := Filters(n.SubnetFilters, also)
	if err != nil {
		return "", nil, fmt.Errorf("subnet_filter: %w", err)
	}
	found, err := describeSubnets(ctx, client, wanted)
	if err != nil {
		return "", nil, fmt.Errorf("%s: looking for subnets: %w", what, awsclient.Plain(err))
	}
	if len(found) == 0 {
		return "", nil, fmt.Errorf("%s: found no available subnet; change it, or set subnet_id", what)
	}
	switch {
	case n.MostFree:
		found = []ec2types.Subnet{slices.MaxFunc(found, func(a, b ec2types.Subnet) int {
			return cmp.Compare(aws.ToInt32(a.AvailableIpAddressCount), aws.ToInt32(b.AvailableIpAddressCount))
		})}
	case n.Random:
		found = []ec2types.Subnet{found[rand.IntN(len(found))]} //nolint:gosec // the choice needs no secrecy
	}
	sortSubnets(found, zones)
	var places []Place
	var ids []string
	for _, s := range found {
		if of := aws.ToString(s.VpcId); vpc != "" && of != vpc {
			return "", nil, fmt.Errorf("%s matches subnets of %s and of %s, want one VPC, as a security group belongs to one VPC; "+
				"set vpc_id, random or most_free", what, vpc, of)
		}
		vpc = aws.ToString(s.VpcId)
		ids = append(ids, aws.ToString(s.SubnetId))
		places = append(places, Place{Zone: aws.ToString(s.AvailabilityZone), Subnet: aws.ToString(s.SubnetId)})
	}
	n.Say("Found subnets %s in %s", strings.Join(ids, ", "), vpc)
	return vpc, places, nil
}

// defaultPlaces returns the places of the default VPC: the configured zones, or
// EC2's choice and then each zone with a default subnet. A public address can
// only be requested or refused with an explicit subnet.
func (n Network) defaultPlaces(ctx context.Context, client NetworkAPI) []Place {
	zones := n.Zones
	anywhere := []Place{{}}
	if len(zones) > 0 {
		anywhere = nil
		for _, zone := range zones {
			anywhere = append(anywhere, Place{Zone: zone})
		}
	}
	if len(zones) > 0 && !n.Address {
		return anywhere
	}
	also := map[string]string{"default-for-az": "true"}
	if len(zones) > 0 {
		also["availability-zone"] = strings.Join(zones, ",")
	}
	wanted, _ := Filters(nil, also) // no user input to misparse
	found, err := describeSubnets(ctx, client, wanted)
	if err != nil || len(found) == 0 {
		if n.Address {
			n.Complain("associate_public_ip_address: ignored, as it requires a subnet and the default subnets are unknown (%s); set subnet_id",
				cmp.Or(awsclient.Code(err), "found none"))
		}
		log.Printf("[INFO] the zones are unknown, so only EC2's choice is tried: %d default subnets, error %v", len(found), err)
		return anywhere
	}
	sortSubnets(found, zones)
	var places []Place
	for _, s := range found {
		place := Place{Zone: aws.ToString(s.AvailabilityZone)}
		if n.Address {
			place.Subnet = aws.ToString(s.SubnetId)
		}
		places = append(places, place)
	}
	if n.Address {
		return places
	}
	return append(anywhere, places...)
}

// sortSubnets sorts public subnets first, as instances in others may not be
// reachable, then by zone: in the user's order, else by name.
func sortSubnets(found []ec2types.Subnet, zones []string) {
	slices.SortStableFunc(found, func(a, b ec2types.Subnet) int {
		if public := aws.ToBool(a.MapPublicIpOnLaunch); public != aws.ToBool(b.MapPublicIpOnLaunch) {
			if public {
				return -1
			}
			return 1
		}
		za, zb := aws.ToString(a.AvailabilityZone), aws.ToString(b.AvailabilityZone)
		return cmp.Or(cmp.Compare(slices.Index(zones, za), slices.Index(zones, zb)), cmp.Compare(za, zb),
			cmp.Compare(aws.ToString(a.SubnetId), aws.ToString(b.SubnetId)))
	})
}

func describeSubnets(ctx context.Context, client ec2.DescribeSubnetsAPIClient, filters []ec2types.Filter) ([]ec2types.Subnet, error) {
	var found []ec2types.Subnet
	pages := ec2.NewDescribeSubnetsPaginator(client, &ec2.DescribeSubnetsInput{Filters: filters})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, out.Subnets...)
	}
	return found, nil
}

// Filters merges the filters of a block, whose values are comma-separated
// lists as in amazon-ebs, with the builder's own.
func Filters(theirs, ours map[string]string) ([]ec2types.Filter, error) {
	all := map[string]string{}
	maps.Copy(all, theirs)
	maps.Copy(all, ours)
	var filters []ec2types.Filter
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r := csv.NewReader(strings.NewReader(all[name]))
		r.TrimLeadingSpace, r.LazyQuotes = true, true
		values, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("%s: got %q, want one value or a comma-separated list: %w", name, all[name], err)
		}
		filters = append(filters, ec2types.Filter{Name: aws.String(name), Values: values})
	}
	return filters, nil
}
