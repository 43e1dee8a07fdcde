// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// block purchases a capacity block for one p5.48xlarge in eu-central-1b.
func (w *world) block(t *testing.T, start time.Time) (id string) {
	t.Helper()
	client := w.client("eu-central-1")
	offers, err := client.DescribeCapacityBlockOfferings(t.Context(), &ec2.DescribeCapacityBlockOfferingsInput{
		InstanceType: aws.String("p5.48xlarge"), InstanceCount: aws.Int32(1), CapacityDurationHours: aws.Int32(24), StartDateRange: &start,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, offer := range offers.CapacityBlockOfferings {
		if aws.ToString(offer.AvailabilityZone) != "eu-central-1b" {
			continue
		}
		out, err := client.PurchaseCapacityBlock(t.Context(), &ec2.PurchaseCapacityBlockInput{
			CapacityBlockOfferingId: offer.CapacityBlockOfferingId, InstancePlatform: ec2types.CapacityReservationInstancePlatformLinuxUnix,
		})
		if err != nil {
			t.Fatal(err)
		}
		return *out.CapacityReservation.CapacityReservationId
	}
	t.Fatal("no offering in eu-central-1b")
	return ""
}

func TestCapacityBlock(t *testing.T) {
	for _, test := range []struct {
		name   string
		start  time.Duration // from now
		config map[string]any
		calls  int
		err    string
		said   string
	}{
		{"in its zone", -time.Hour, map[string]any{"availability_zone": "eu-central-1b"}, 1, "", "has no hourly cost: its capacity block is prepaid"},
		{"EC2 chooses the zone first", -time.Hour, nil, 3, "", "starting: p5.48xlarge, capacity-block, eu-central-1b"},
		{"a price limit", -time.Hour, map[string]any{"availability_zone": "eu-central-1b", "max_price_per_hour": 1}, 1, "", ""},
		{"in another zone", -time.Hour, map[string]any{"availability_zone": "eu-central-1a"}, 0, "is in eu-central-1b, want this zone", ""},
		{"on demand in another zone", -time.Hour, map[string]any{"availability_zone": "eu-central-1a", "markets": []string{"capacity-block", "on-demand"}}, 2, "", "p5.48xlarge, capacity-block, eu-central-1a: no reservation"},
		{"before its start", time.Hour, nil, 0, "is scheduled, and starts at", ""},
		{"it ends during the build", -20 * time.Hour, nil, 0, "max_build_time: got 6h0m0s, but the capacity block cr-", ""},
		{"a short build", -20 * time.Hour, map[string]any{"availability_zone": "eu-central-1b", "max_build_time": "3h"}, 1, "", ""},
		{"another type", -time.Hour, map[string]any{"instance_type": "g4dn.xlarge"}, 0, "is for p5.48xlarge", ""},
		{"no such block", -time.Hour, map[string]any{"capacity_reservation_id": "cr-0123456789abcdef0"}, 0, "cr-0123456789abcdef0 is not in eu-central-1 (InvalidCapacityReservationId.NotFound)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			l.aws.AddFault(rehearsal.Fault{Region: "eu-central-1", Quota: "L-417A185B", Value: 384})
			if !strings.Contains(test.name, "on demand") { // the quota is not of blocks
				l.aws.AddFault(rehearsal.Fault{Region: "eu-central-1", Quota: "L-417A185B", Value: 0})
			}
			config := map[string]any{
				"capacity_reservation_id": l.block(t, time.Now().Add(test.start)), "markets": []string{"capacity-block"}, "instance_type": "p5.48xlarge",
				"skip_create_ami": true, "ami_regions": []string{"eu-central-1"},
			}
			maps.Copy(config, test.config)
			_, err := l.build(t, t.Context(), config)
			if len(l.made) != test.calls || test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("%d launches, error %v, want %d, %q\n%s", len(l.made), err, test.calls, test.err, l.ui.String())
			}
			if !strings.Contains(l.ui.String(), test.said) {
				t.Errorf("the build does not say %q:\n%s", test.said, l.ui.String())
			}
			if left := l.left(); len(left) != 1 {
				t.Errorf("left besides the block: %v", left)
			}
		})
	}
}

// The preflight of a capacity block requires one optional action; no price of an instance is
// looked up.
func TestCapacityBlockPolicy(t *testing.T) {
	block := map[string]any{"capacity_reservation_id": "cr-0123456789abcdef0", "markets": []string{"capacity-block"}, "instance_type": "p5.48xlarge", "ami_regions": []string(nil), "skip_create_ami": true}
	actions := func(config map[string]any) []string {
		all := policyCase{config: config}.minimum(t)
		return actionsOf(&all)
	}
	const look, price = "ec2:DescribeCapacityReservations", "pricing:GetProducts"
	if got := actions(block); !slices.Contains(got, look) || slices.Contains(got, price) {
		t.Errorf("got %v, want %s without %s", got, look, price)
	}
	if got := actions(nil); slices.Contains(got, look) || !slices.Contains(got, price) {
		t.Errorf("on demand: got %v, want %s without %s", got, price, look)
	}
	least := required(policyCase{config: block}.minimum(t))
	if slices.Contains(actionsOf(least), look) {
		t.Errorf("%s is required", look)
	}
}
