// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

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
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	packerconfig "github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// stepNetwork finds the places where the instance may run, and the VPC that
// the security group must be in; an empty one is the default VPC. Subnet and
// zone are set by stepLaunch, which takes one of the places.
type stepNetwork struct{ noCleanup }

func (stepNetwork) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := buildOf(state)
	if err := b.findNetwork(ctx, uiOf(state)); err != nil {
		return halt(state, "network: %w", err)
	}
	state.Put(keyVPC, b.vpc)
	state.Put(keySubnet, "")
	state.Put(keyZone, "")
	return multistep.ActionContinue
}

// findNetwork looks the VPC and the places up, where the preflight has not.
func (b *build) findNetwork(ctx context.Context, ui packersdk.Ui) (err error) {
	if b.places == nil {
		b.vpc, b.places, err = b.config.network(ctx, b.clients.EC2(b.clients.Region()), ui)
	}
	return err
}

// networkAPI is what is asked of EC2.
type networkAPI interface {
	ec2.DescribeSubnetsAPIClient
	ec2.DescribeVpcsAPIClient
}

// network returns the VPC and the places, in the order to try. It asks only
// for what the configuration leaves open.
func (c *Config) network(ctx context.Context, client networkAPI, ui packersdk.Ui) (vpc string, places []launch.Place, err error) {
	zones, subnets := c.AvailabilityZones, c.SubnetIds
	if c.AvailabilityZone != "" {
		zones = []string{c.AvailabilityZone}
	}
	if c.SubnetId != "" {
		subnets = []string{c.SubnetId}
	}
	vpc = c.VpcId
	if vpc == "" && !c.VpcFilter.Empty() {
		if vpc, err = findVPC(ctx, client, c.VpcFilter.Filters); err != nil {
			return "", nil, err
		}
		ui.Sayf("Found VPC %s", vpc)
	}
	switch {
	case len(subnets) == 1 && vpc != "" && len(zones) == 1:
		return vpc, []launch.Place{{Zone: zones[0], Subnet: subnets[0]}}, nil
	case len(subnets) > 0:
		return namedSubnets(ctx, client, subnets, vpc, zones)
	case !c.SubnetFilter.Empty() || vpc != "":
		return c.matchingSubnets(ctx, client, vpc, zones, ui)
	}
	return "", c.defaultPlaces(ctx, client, zones, ui), nil
}

func findVPC(ctx context.Context, client networkAPI, filters map[string]string) (string, error) {
	wanted, err := ec2Filters(filters, map[string]string{"state": "available"})
	if err != nil {
		return "", fmt.Errorf("vpc_filter: %w", err)
	}
	out, err := client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: wanted})
	if err != nil {
		return "", fmt.Errorf("vpc_filter: looking for VPCs: %w", ec2api.Plain(err))
	}
	if len(out.Vpcs) != 1 {
		return "", fmt.Errorf("vpc_filter: %v matches %d VPCs; expected one", filters, len(out.Vpcs))
	}
	return aws.ToString(out.Vpcs[0].VpcId), nil
}

// namedSubnets looks up the VPC and the zones of subnets, and keeps their order.
func namedSubnets(ctx context.Context, client networkAPI, ids []string, vpc string, zones []string) (string, []launch.Place, error) {
	out, err := client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
	if err != nil {
		return "", nil, fmt.Errorf("subnet_id, subnet_ids: looking up %s: %w", strings.Join(ids, ", "), ec2api.Plain(err))
	}
	byID := map[string]ec2types.Subnet{}
	for _, s := range out.Subnets {
		byID[aws.ToString(s.SubnetId)] = s
	}
	var places []launch.Place
	for _, id := range ids {
		s, ok := byID[id]
		zone, of := aws.ToString(s.AvailabilityZone), aws.ToString(s.VpcId)
		switch {
		case !ok:
			return "", nil, fmt.Errorf("subnet_id, subnet_ids: EC2 does not show %s", id)
		case vpc != "" && of != vpc:
			return "", nil, fmt.Errorf("subnet_id, subnet_ids: %s is in %s, others (or vpc_id) in %s; "+
				"expected one VPC, as the security group is in one", id, of, vpc)
		case len(zones) > 0 && !slices.Contains(zones, zone):
			return "", nil, fmt.Errorf("availability_zone: %q, but %s is in %s; leave availability_zone out", zones[0], id, zone)
		}
		vpc = of
		places = append(places, launch.Place{Zone: zone, Subnet: id})
	}
	return vpc, places, nil
}

// matchingSubnets finds the subnets of a VPC or a filter: one where random or
// most_free ask for it, else all of one VPC.
func (c *Config) matchingSubnets(ctx context.Context, client networkAPI, vpc string, zones []string, ui packersdk.Ui) (string, []launch.Place, error) {
	also := map[string]string{"state": "available"}
	if vpc != "" {
		also["vpc-id"] = vpc
	}
	if len(zones) > 0 {
		also["availability-zone"] = strings.Join(zones, ",")
	}
	what := fmt.Sprintf("subnet_filter: %v", c.SubnetFilter.Filters)
	if c.SubnetFilter.Empty() {
		what = fmt.Sprintf("vpc_id: %s", vpc)
	}
	if len(zones) > 0 {
		what += " in " + strings.Join(zones, ", ")
	}
	wanted, err := ec2Filters(c.SubnetFilter.Filters, also)
	if err != nil {
		return "", nil, fmt.Errorf("subnet_filter: %w", err)
	}
	found, err := describeSubnets(ctx, client, wanted)
	if err != nil {
		return "", nil, fmt.Errorf("%s: looking for subnets: %w", what, ec2api.Plain(err))
	}
	if len(found) == 0 {
		return "", nil, fmt.Errorf("%s has no available subnet; name another, or subnet_id", what)
	}
	switch {
	case c.SubnetFilter.MostFree:
		found = []ec2types.Subnet{slices.MaxFunc(found, func(a, b ec2types.Subnet) int {
			return cmp.Compare(aws.ToInt32(a.AvailableIpAddressCount), aws.ToInt32(b.AvailableIpAddressCount))
		})}
	case c.SubnetFilter.Random:
		found = []ec2types.Subnet{found[rand.IntN(len(found))]}
	}
	sortSubnets(found, zones)
	var places []launch.Place
	var ids []string
	for _, s := range found {
		if of := aws.ToString(s.VpcId); vpc != "" && of != vpc {
			return "", nil, fmt.Errorf("%s matches subnets of %s and of %s; expected one VPC, as the security group is in one: "+
				"add vpc_id, or set random or most_free", what, vpc, of)
		}
		vpc = aws.ToString(s.VpcId)
		ids = append(ids, aws.ToString(s.SubnetId))
		places = append(places, launch.Place{Zone: aws.ToString(s.AvailabilityZone), Subnet: aws.ToString(s.SubnetId)})
	}
	ui.Sayf("Found subnets %s in %s", strings.Join(ids, ", "), vpc)
	return vpc, places, nil
}

// defaultPlaces are those of the default VPC: the zones that are named, or
// EC2's choice and then each zone that has a default subnet. A public address
// can only be asked for, or refused, in a subnet that is named.
func (c *Config) defaultPlaces(ctx context.Context, client networkAPI, zones []string, ui packersdk.Ui) []launch.Place {
	anywhere := []launch.Place{{}}
	if len(zones) > 0 {
		anywhere = nil
		for _, zone := range zones {
			anywhere = append(anywhere, launch.Place{Zone: zone})
		}
	}
	address := c.AssociatePublicIpAddress != packerconfig.TriUnset
	if len(zones) > 0 && !address {
		return anywhere
	}
	also := map[string]string{"default-for-az": "true"}
	if len(zones) > 0 {
		also["availability-zone"] = strings.Join(zones, ",")
	}
	wanted, _ := ec2Filters(nil, also) // nothing of the user's to misread
	found, err := describeSubnets(ctx, client, wanted)
	if err != nil || len(found) == 0 {
		if address {
			ui.Errorf("associate_public_ip_address is ignored: it needs a subnet, and the default ones are not known (%s); set subnet_id",
				cmp.Or(ec2api.Code(err), "there are none"))
		}
		log.Printf("[INFO] the zones are not known, so only EC2's choice is tried: %d default subnets, error %v", len(found), err)
		return anywhere
	}
	sortSubnets(found, zones)
	var places []launch.Place
	for _, s := range found {
		place := launch.Place{Zone: aws.ToString(s.AvailabilityZone)}
		if address {
			place.Subnet = aws.ToString(s.SubnetId)
		}
		places = append(places, place)
	}
	if address {
		return places
	}
	return append(anywhere, places...)
}

// sortSubnets puts public subnets first, since an instance in another one may
// not be reached, then keeps the order of the zones: the user's, else theirs.
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

// ec2Filters makes EC2's filters of a block's, whose values are lists with
// commas as in amazon-ebs, and of ours, which hold besides.
func ec2Filters(theirs, ours map[string]string) ([]ec2types.Filter, error) {
	all := map[string]string{}
	maps.Copy(all, theirs)
	maps.Copy(all, ours)
	var filters []ec2types.Filter
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r := csv.NewReader(strings.NewReader(all[name]))
		r.TrimLeadingSpace, r.LazyQuotes = true, true
		values, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("%s = %q: expected a value, or several with commas between them: %w", name, all[name], err)
		}
		filters = append(filters, ec2types.Filter{Name: aws.String(name), Values: values})
	}
	return filters, nil
}
