// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

func TestJudgeBlock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		change func(*ec2types.CapacityReservation, *Launch)
		zones  []string
		want   []string
	}{
		{"usable", func(*ec2types.CapacityReservation, *Launch) {}, []string{"", "b"}, nil},
		{"another kind of reservation", func(b *ec2types.CapacityReservation, _ *Launch) {
			b.ReservationType = ec2types.CapacityReservationTypeDefault
		}, nil, []string{`capacity_reservation_id: cr-1 is not a capacity block; set markets = ["capacity-reservation"]`}},
		{"before its start", func(b *ec2types.CapacityReservation, _ *Launch) {
			b.State, b.StartDate = "scheduled", aws.Time(now.Add(time.Hour))
		}, nil, []string{"capacity_reservation_id: cr-1 is scheduled, and starts at 2026-03-01T13:00:00Z, want an active capacity block; run the build after its start"}},
		{"after its end", func(b *ec2types.CapacityReservation, _ *Launch) { b.State = "expired" }, nil, []string{"cr-1 is expired, want an active capacity block"}},
		{"it ends during the build", func(b *ec2types.CapacityReservation, _ *Launch) {
			b.EndDate = aws.Time(now.Add(6 * time.Hour))
		}, nil, []string{"max_build_time: got 6h0m0s, but the capacity block cr-1 ends at 2026-03-01T18:00:00Z, and EC2 terminates its instances from 30m0s before, want at most 5h30m0s"}},
		{"it ends just after the build", func(b *ec2types.CapacityReservation, _ *Launch) {
			b.EndDate = aws.Time(now.Add(6*time.Hour + 30*time.Minute))
		}, nil, nil},
		{"no limit of the build", func(b *ec2types.CapacityReservation, l *Launch) {
			b.EndDate, l.BuildTime = aws.Time(now.Add(time.Hour)), 0
		}, nil, nil},
		{"its instances are being terminated", func(b *ec2types.CapacityReservation, l *Launch) {
			b.EndDate, l.BuildTime = aws.Time(now.Add(20*time.Minute)), 0
		}, nil, []string{"capacity_reservation_id: cr-1 ends at 2026-03-01T12:20:00Z"}},
		{"full", func(b *ec2types.CapacityReservation, _ *Launch) { b.AvailableInstanceCount = aws.Int32(0) }, nil, []string{"no available capacity"}},
		{"another type", func(_ *ec2types.CapacityReservation, l *Launch) { l.Types = []string{"p5.48xlarge", "p4d.24xlarge"} }, nil,
			[]string{`instance_types: got p4d.24xlarge, but the capacity block cr-1 is for p5.48xlarge; set instance_types = ["p5.48xlarge"]`}},
		{"another zone", func(*ec2types.CapacityReservation, *Launch) {}, []string{"a"}, []string{"availability_zones, subnet_ids: the capacity block cr-1 is in b, want this zone"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			block := ec2types.CapacityReservation{
				CapacityReservationId: aws.String("cr-1"), InstanceType: aws.String("p5.48xlarge"), AvailabilityZone: aws.String("b"), State: "active",
				ReservationType: ec2types.CapacityReservationTypeCapacityBlock, EndDate: aws.Time(now.Add(24 * time.Hour)), AvailableInstanceCount: aws.Int32(1),
			}
			l := &Launch{Types: []string{"p5.48xlarge"}, BuildTime: 6 * time.Hour}
			test.change(&block, l)
			var places []launch.Place
			for _, zone := range test.zones {
				places = append(places, launch.Place{Zone: zone})
			}
			findings := judgeBlock(block, l, places, now)
			wantFindings(t, findings, test.want...)
			for _, f := range findings {
				if f.hits != nil && f.hits(launch.Attempt{Type: "p4d.24xlarge", Market: launch.OnDemand, Place: launch.Place{Zone: "a"}}) {
					t.Errorf("also rules out another market: %s", f)
				}
			}
		})
	}
}
