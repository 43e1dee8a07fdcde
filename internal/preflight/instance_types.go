// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// askTypes asks what the types are. A filter, other than a list of names, leaves
// out those that the region does not have instead of refusing the question.
func (p *plan) askTypes(ctx context.Context) (map[string]ec2types.InstanceTypeInfo, error) {
	found := map[string]ec2types.InstanceTypeInfo{}
	pages := ec2.NewDescribeInstanceTypesPaginator(p.home, &ec2.DescribeInstanceTypesInput{
		Filters: []ec2types.Filter{{Name: aws.String("instance-type"), Values: p.Launch.Types}},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx, few)
		if err != nil {
			return nil, err
		}
		for _, info := range out.InstanceTypes {
			found[string(info.InstanceType)] = info
		}
	}
	return found, nil
}

// offerings checks that the types are offered in the zones of the places.
func (p *plan) offerings(ctx context.Context, n *notes) {
	offered := offers{}
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(p.home, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone,
		Filters:      []ec2types.Filter{{Name: aws.String("instance-type"), Values: p.Launch.Types}},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx, few)
		if err != nil {
			n.gap("which zones offer the instance types", "ec2:DescribeInstanceTypeOfferings", err)
			return
		}
		for _, o := range out.InstanceTypeOfferings {
			name := string(o.InstanceType)
			offered[name] = append(offered[name], aws.ToString(o.Location))
		}
	}
	var places []launch.Place
	if net, err := p.network(); err == nil {
		places = net.places
	}
	for _, f := range judgeOffers(p.BuildRegion, p.Launch.Types, places, offered) {
		f.quiet = f.zonal && !p.Launch.NamedPlaces
		n.find(f)
	}
}

// offers are the zones that have a type.
type offers map[string][]string

// judgeOffers finds the types that a place's zone does not have. A place
// without a zone is where EC2 may choose.
func judgeOffers(region string, types []string, places []launch.Place, offered offers) (findings []Finding) {
	for _, name := range types {
		zones := offered[name]
		if len(zones) == 0 {
			findings = append(findings, Finding{
				Attribute: "instance_types", Value: fmt.Sprintf("%s does not offer %q", region, name),
				Remedy: "look for a misspelling, or name another type or region", hits: ofType(name),
			})
			continue
		}
		lacking := map[string]bool{}
		for _, place := range places {
			if place.Zone != "" && !slices.Contains(zones, place.Zone) {
				lacking[place.Zone] = true
			}
		}
		if len(lacking) == 0 {
			continue
		}
		slices.Sort(zones)
		findings = append(findings, Finding{
			Attribute: "availability_zones, subnet_ids", Value: fmt.Sprintf("%s is not offered in %s", name, strings.Join(slices.Sorted(maps.Keys(lacking)), ", ")),
			Expected: "zones that have it: " + strings.Join(zones, ", "), Remedy: "name one of these, or another type",
			hits: func(r launch.Rung) bool { return r.Type == name && lacking[r.Place.Zone] }, zonal: true,
		})
	}
	return findings
}
