// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// blockEnds is how long before the end of a capacity block EC2 begins to terminate
// its instances
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html).
const blockEnds = 30 * time.Minute

// capacityBlock checks that the capacity block is active for the whole build.
func (p *plan) capacityBlock(ctx context.Context, n *notes) {
	id := p.Launch.Block
	out, err := p.home.DescribeCapacityReservations(ctx, &ec2.DescribeCapacityReservationsInput{CapacityReservationIds: []string{id}}, few)
	if awsclient.IsNotFound(err) || err == nil && len(out.CapacityReservations) == 0 {
		why := errors.New("no such reservation")
		if err != nil {
			why = errors.New(awsclient.Code(err))
		}
		n.find(ofBlock(Finding{
			Value: fmt.Sprintf("%s is not in %s (%s)", id, p.BuildRegion, why), Expected: "a capacity block that this account can access there",
			Remedy: "list them with aws ec2 describe-capacity-reservations --region " + p.BuildRegion,
		}))
		return
	}
	if err != nil {
		n.gap("the capacity block", "ec2:DescribeCapacityReservations", err)
		return
	}
	var places []launch.Place
	if net, err := p.network(); err == nil {
		places = net.places
	}
	for _, f := range judgeBlock(out.CapacityReservations[0], p.Launch, places, time.Now()) {
		f.quiet = f.zonal && !p.Launch.NamedPlaces
		n.find(f)
	}
}

// ofBlock completes a finding that rules out the market capacity-block.
func ofBlock(f Finding) Finding {
	if f.Attribute == "" {
		f.Attribute = "capacity_reservation_id"
	}
	if f.hits == nil {
		f.hits = func(r launch.Attempt) bool { return r.Market == launch.CapacityBlock }
	}
	return f
}

// judgeBlock compares the capacity block with the launch.
func judgeBlock(block ec2types.CapacityReservation, l *Launch, places []launch.Place, now time.Time) (findings []Finding) {
	id, kind, zone := aws.ToString(block.CapacityReservationId), aws.ToString(block.InstanceType), aws.ToString(block.AvailabilityZone)
	if block.ReservationType != ec2types.CapacityReservationTypeCapacityBlock {
		return []Finding{ofBlock(Finding{
			Value: id + " is not a capacity block", Remedy: "set markets = [\"capacity-reservation\"], or the id of a capacity block",
		})}
	}
	if state := block.State; state != ec2types.CapacityReservationStateActive {
		f := Finding{Value: fmt.Sprintf("%s is %s", id, state), Expected: "an active capacity block", Remedy: "choose another block or market"}
		if start := aws.ToTime(block.StartDate); start.After(now) {
			f.Value += ", and starts at " + start.UTC().Format(time.RFC3339)
			f.Remedy = "run the build after its start, or choose another block or market"
		}
		return []Finding{ofBlock(f)}
	}
	if end := aws.ToTime(block.EndDate); !end.IsZero() {
		if left := end.Add(-blockEnds).Sub(now); left < max(l.BuildTime, time.Minute) {
			f := Finding{
				Attribute: "max_build_time",
				Value: fmt.Sprintf("got %s, but the capacity block %s ends at %s, and EC2 terminates its instances from %s before",
					l.BuildTime, id, end.UTC().Format(time.RFC3339), blockEnds),
				Expected: fmt.Sprintf("at most %s", left.Truncate(time.Minute)), Remedy: "lower it, or choose another block or market",
			}
			if left < time.Minute {
				f.Attribute, f.Value, f.Expected = "", fmt.Sprintf("%s ends at %s, and EC2 terminates its instances from %s before", id, end.UTC().Format(time.RFC3339), blockEnds), ""
				f.Remedy = "choose another block or market"
			}
			findings = append(findings, ofBlock(f))
		}
	}
	if aws.ToInt32(block.AvailableInstanceCount) == 0 {
		findings = append(findings, Finding{
			Attribute: "capacity_reservation_id", Value: id + " has no available capacity at this time",
			Remedy: "terminate one of its instances, which takes several minutes, or set capacity_timeout", Warning: true,
		})
	}
	if others := slices.DeleteFunc(slices.Clone(l.Types), func(t string) bool { return t == kind }); len(others) > 0 {
		findings = append(findings, ofBlock(Finding{
			Attribute: "instance_types", Value: fmt.Sprintf("got %s, but the capacity block %s is for %s", strings.Join(others, ", "), id, kind),
			Remedy: fmt.Sprintf("set instance_types = [%q], or choose another block", kind),
			hits:   func(r launch.Attempt) bool { return r.Market == launch.CapacityBlock && r.Type != kind },
		}))
	}
	if slices.ContainsFunc(places, func(p launch.Place) bool { return p.Zone != "" && p.Zone != zone }) {
		findings = append(findings, ofBlock(Finding{
			Attribute: "availability_zones, subnet_ids", Value: fmt.Sprintf("the capacity block %s is in %s", id, zone),
			Expected: "this zone", Remedy: "add it, or choose another block", zonal: true,
			hits: func(r launch.Attempt) bool {
				return r.Market == launch.CapacityBlock && r.Place.Zone != "" && r.Place.Zone != zone
			},
		}))
	}
	return findings
}
