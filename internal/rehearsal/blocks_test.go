// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// A capacity block accepts launches that name it, between its start and its end.
func TestCapacityBlocks(t *testing.T) {
	l := newLab(t, "instant")
	offers := must[*sdk.DescribeCapacityBlockOfferingsOutput](l)(l.ec2.DescribeCapacityBlockOfferings(t.Context(), &sdk.DescribeCapacityBlockOfferingsInput{
		InstanceType: aws.String("p5.48xlarge"), InstanceCount: aws.Int32(1), CapacityDurationHours: aws.Int32(24), StartDateRange: aws.Time(l.clock.Now().Add(time.Hour)),
	})).CapacityBlockOfferings
	offer := offers[len(offers)-1] // not in the first zone
	block := must[*sdk.PurchaseCapacityBlockOutput](l)(l.ec2.PurchaseCapacityBlock(t.Context(), &sdk.PurchaseCapacityBlockInput{
		CapacityBlockOfferingId: offer.CapacityBlockOfferingId, InstancePlatform: types.CapacityReservationInstancePlatformLinuxUnix,
	})).CapacityReservation
	id := block.CapacityReservationId
	state := func(want types.CapacityReservationState, available int32) {
		t.Helper()
		got := must[*sdk.DescribeCapacityReservationsOutput](l)(l.ec2.DescribeCapacityReservations(t.Context(), &sdk.DescribeCapacityReservationsInput{CapacityReservationIds: []string{*id}})).CapacityReservations[0]
		if got.State != want || *got.AvailableInstanceCount != available || got.ReservationType != types.CapacityReservationTypeCapacityBlock || got.EndDate.Sub(*got.StartDate) != 24*time.Hour {
			t.Errorf("the block is %s with %d instances, want %s with %d: %+v", got.State, *got.AvailableInstanceCount, want, available, got)
		}
	}
	run := func(market types.MarketType, kind types.InstanceType, zone, id *string) (*sdk.RunInstancesOutput, error) {
		in := &sdk.RunInstancesInput{
			ImageId: aws.String(l.source()), InstanceType: kind, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), Placement: &types.Placement{AvailabilityZone: zone},
			CapacityReservationSpecification: &types.CapacityReservationSpecification{},
		}
		if market != "" {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: market}
		}
		if id != nil {
			in.CapacityReservationSpecification.CapacityReservationTarget = &types.CapacityReservationTarget{CapacityReservationId: id}
		}
		return l.ec2.RunInstances(t.Context(), in)
	}
	fails := func(code string, market types.MarketType, kind types.InstanceType, zone, id *string) {
		t.Helper()
		_, err := run(market, kind, zone, id)
		l.wantCode(err, code)
	}
	const p5, full = types.InstanceTypeP548xlarge, "ReservationCapacityExceeded"
	zone := offer.AvailabilityZone

	state("scheduled", 1)
	fails(full, types.MarketTypeCapacityBlock, p5, zone, id)
	l.clock.Advance(2 * time.Hour)
	state("active", 1)
	fails(full, "", p5, zone, id) // without the market
	fails(full, types.MarketTypeCapacityBlock, types.InstanceTypeP4d24xlarge, aws.String("eu-central-1a"), id)
	fails(full, types.MarketTypeCapacityBlock, p5, aws.String("eu-central-1a"), id)
	fails("InvalidParameterCombination", types.MarketTypeCapacityBlock, p5, zone, nil)
	fails("InvalidCapacityReservationId.NotFound", types.MarketTypeCapacityBlock, p5, zone, aws.String("cr-0123456789abcdef0"))
	made := must[*sdk.RunInstancesOutput](l)(run(types.MarketTypeCapacityBlock, p5, zone, id)).Instances[0]
	if made.InstanceLifecycle != types.InstanceLifecycleTypeCapacityBlock {
		t.Errorf("the instance's life cycle is %q", made.InstanceLifecycle)
	}
	state("active", 0)
	fails(full, types.MarketTypeCapacityBlock, p5, zone, id)
	_, err := l.ec2.CancelCapacityReservation(t.Context(), &sdk.CancelCapacityReservationInput{CapacityReservationId: id})
	l.wantCode(err, "UnsupportedOperation")
	must[*sdk.TerminateInstancesOutput](l)(l.ec2.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{*made.InstanceId}}))
	state("active", 1)
	l.clock.Advance(24 * time.Hour)
	state("expired", 1)
}
