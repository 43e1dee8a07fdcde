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

// askTypes describes the types. It uses a filter instead of a list of names, as
// EC2 refuses a list with types that the region does not have.
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

// judgeGPUs warns of types that EC2 describes without a GPU.
func judgeGPUs(wanted []string, types map[string]ec2types.InstanceTypeInfo) (findings []Finding) {
	for _, name := range wanted {
		info, known := types[name]
		if !known || info.ProcessorInfo == nil || info.GpuInfo != nil { // without ProcessorInfo, the description is not complete
			continue
		}
		findings = append(findings, Finding{
			Attribute: "instance_types", Value: name + " has no GPU", Remedy: "the image will mine on the CPU", Warning: true,
		})
	}
	return findings
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
			n.gap("the zones that offer the instance types", "ec2:DescribeInstanceTypeOfferings", err)
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

// offers holds the zones that offer a type.
type offers map[string][]string

// judgeOffers finds the types that a place's zone does not offer. In a place
// without a zone, EC2 chooses the zone.
func judgeOffers(region string, types []string, places []launch.Place, offered offers) (findings []Finding) {
	for _, name := range types {
		zones := offered[name]
		if len(zones) == 0 {
			findings = append(findings, Finding{
				Attribute: "instance_types", Value: fmt.Sprintf("got %[2]q, which is not offered in %[1]s", region, name),
				Remedy: "check the spelling, or choose another type or region", hits: ofType(name),
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
			Expected: "zones that offer it: " + strings.Join(zones, ", "), Remedy: "choose one of these zones, or another type",
			hits: func(r launch.Attempt) bool { return r.Type == name && lacking[r.Place.Zone] }, zonal: true,
		})
	}
	return findings
}
