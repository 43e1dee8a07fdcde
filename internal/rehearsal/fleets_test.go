// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// fleet requests one spot instance of two types in two zones.
func fleet(template string, strategy types.SpotAllocationStrategy) *sdk.CreateFleetInput {
	in := &sdk.CreateFleetInput{
		Type: types.FleetTypeInstant, ClientToken: aws.String("fleet-" + string(strategy)),
		SpotOptions:                 &types.SpotOptionsRequest{AllocationStrategy: strategy},
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: types.DefaultTargetCapacityTypeSpot},
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: aws.String(template), Version: aws.String("1")},
		}},
	}
	for n, kind := range []types.InstanceType{types.InstanceTypeG512xlarge, types.InstanceTypeG4dnXlarge} {
		for m, zone := range []string{"eu-central-1a", "eu-central-1b"} {
			in.LaunchTemplateConfigs[0].Overrides = append(in.LaunchTemplateConfigs[0].Overrides, types.FleetLaunchTemplateOverridesRequest{
				InstanceType: kind, AvailabilityZone: aws.String(zone), Priority: aws.Float64(float64(4 - 2*n - m)), // the last one first
			})
		}
	}
	return in
}

func TestFleets(t *testing.T) {
	for _, test := range []struct {
		strategy types.SpotAllocationStrategy
		without  []string // types without capacity
		want     string
		errors   int
	}{
		{types.SpotAllocationStrategyLowestPrice, nil, "g4dn.xlarge in eu-central-1b", 0},
		{types.SpotAllocationStrategyPriceCapacityOptimized, nil, "g4dn.xlarge in eu-central-1b", 0},
		{types.SpotAllocationStrategyCapacityOptimized, nil, "g5.12xlarge in eu-central-1a", 0},
		{types.SpotAllocationStrategyCapacityOptimizedPrioritized, nil, "g4dn.xlarge in eu-central-1b", 0},
		{types.SpotAllocationStrategyPriceCapacityOptimized, []string{"g4dn.xlarge"}, "g5.12xlarge in eu-central-1b", 2},
		{types.SpotAllocationStrategyPriceCapacityOptimized, []string{"g4dn.xlarge", "g5.12xlarge"}, "", 4},
	} {
		t.Run(fmt.Sprint(test.strategy, " without ", len(test.without)), func(t *testing.T) {
			l := newLab(t, "instant")
			template := &sdk.CreateLaunchTemplateInput{
				LaunchTemplateName: aws.String("one"), ClientToken: aws.String("template"),
				LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(l.source())},
			}
			made := must[*sdk.CreateLaunchTemplateOutput](l)(l.ec2.CreateLaunchTemplate(t.Context(), template)).LaunchTemplate
			if again := must[*sdk.CreateLaunchTemplateOutput](l)(l.ec2.CreateLaunchTemplate(t.Context(), template)).LaunchTemplate; *again.LaunchTemplateId != *made.LaunchTemplateId {
				t.Errorf("the same token creates another template")
			}
			for _, kind := range test.without {
				l.server.AddFault(Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": kind}, Code: "InsufficientInstanceCapacity"})
			}
			in := fleet(*made.LaunchTemplateId, test.strategy)
			out := must[*sdk.CreateFleetOutput](l)(l.ec2.CreateFleet(t.Context(), in))
			again := must[*sdk.CreateFleetOutput](l)(l.ec2.CreateFleet(t.Context(), in))
			if *again.FleetId != *out.FleetId || !slices.EqualFunc(again.Instances, out.Instances, func(a, b types.CreateFleetInstance) bool { return slices.Equal(a.InstanceIds, b.InstanceIds) }) {
				t.Errorf("the same token creates another fleet")
			}
			if len(out.Errors) != test.errors || test.errors > 0 && aws.ToString(out.Errors[0].ErrorCode) != "InsufficientInstanceCapacity" {
				t.Errorf("got %d errors, want %d: %+v", len(out.Errors), test.errors, out.Errors)
			}
			got := ""
			if len(out.Instances) > 0 {
				found := must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: out.Instances[0].InstanceIds})).Reservations[0].Instances[0]
				got = fmt.Sprintf("%s in %s", found.InstanceType, *found.Placement.AvailabilityZone)
			}
			if got != test.want {
				t.Errorf("launched %q, want %q", got, test.want)
			}
		})
	}
	l := newLab(t, "instant")
	made := must[*sdk.CreateLaunchTemplateOutput](l)(l.ec2.CreateLaunchTemplate(t.Context(), &sdk.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("one"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(l.source())},
	})).LaunchTemplate
	in := fleet(*made.LaunchTemplateId, "cheapest")
	_, err := l.ec2.CreateFleet(t.Context(), in)
	l.wantCode(err, "InvalidParameterValue")
	in = fleet(*made.LaunchTemplateId, types.SpotAllocationStrategyLowestPrice)
	in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.Version = nil
	_, err = l.ec2.CreateFleet(t.Context(), in)
	l.wantCode(err, "MissingParameter")
	in = fleet(*made.LaunchTemplateId, types.SpotAllocationStrategyLowestPrice)
	in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeNetworkInterface, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
	_, err = l.ec2.CreateFleet(t.Context(), in)
	l.wantCode(err, "InvalidParameterValue")
}

// A new launch template is not found, listed or deleted at first.
func TestNewLaunchTemplates(t *testing.T) {
	l := newLab(t, "instant,notfound=1h")
	made := must[*sdk.CreateLaunchTemplateOutput](l)(l.ec2.CreateLaunchTemplate(t.Context(), &sdk.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("one"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(l.source())},
	})).LaunchTemplate
	_, err := l.ec2.CreateFleet(t.Context(), fleet(*made.LaunchTemplateId, types.SpotAllocationStrategyLowestPrice))
	l.wantCode(err, "InvalidLaunchTemplateId.NotFound")
	_, err = l.ec2.DeleteLaunchTemplate(t.Context(), &sdk.DeleteLaunchTemplateInput{LaunchTemplateName: aws.String("one")})
	l.wantCode(err, "InvalidLaunchTemplateName.NotFoundException")
	if found := must[*sdk.DescribeLaunchTemplatesOutput](l)(l.ec2.DescribeLaunchTemplates(t.Context(), &sdk.DescribeLaunchTemplatesInput{})).LaunchTemplates; len(found) > 0 {
		t.Errorf("got %v, want no new template in a list", found)
	}
}
