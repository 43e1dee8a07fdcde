// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// launches records the calls of RunInstances and CreateFleet. It can lose their responses and run a
// function after each.
type launches struct {
	*world
	lose   bool
	onCall func(nth int)

	mu   sync.Mutex
	made []url.Values
}

func (l *launches) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	if !slices.Contains([]string{"RunInstances", "CreateFleet"}, form.Get("Action")) || form.Get("DryRun") == "true" {
		return l.world.RoundTrip(r)
	}
	l.mu.Lock()
	l.made = append(l.made, form)
	nth := len(l.made)
	l.mu.Unlock()
	answer, err := l.world.RoundTrip(r)
	if l.onCall != nil {
		l.onCall(nth)
	}
	if l.lose {
		return nil, io.ErrUnexpectedEOF
	}
	return answer, err
}

// values returns the values of a parameter, one per call.
func (l *launches) values(name string) []string {
	var values []string
	for _, form := range l.made {
		values = append(values, form.Get(name))
	}
	return values
}

func newLaunches(t *testing.T) *launches {
	l := &launches{world: newWorld(t)}
	l.transport = l
	return l
}

// refuse makes the calls with these numbers fail with a code.
func (l *launches) refuse(code string, calls ...int) {
	for _, nth := range calls {
		l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Nth: nth, Code: code})
	}
}

// run builds without an image and fails the test if resources are left.
func (l *launches) run(t *testing.T, ctx context.Context, config map[string]any) error {
	t.Helper()
	raw := map[string]any{"skip_create_ami": true, "ami_regions": []string{"eu-central-1"}}
	maps.Copy(raw, config)
	_, err := l.build(t, ctx, raw)
	if left := l.left(); len(left) > 0 {
		t.Errorf("got leftover resources (error %v), want none:\n%s\n--- build output:\n%s", err, strings.Join(left, "\n"), l.ui.String())
	}
	return err
}

const noCapacity = "InsufficientInstanceCapacity"

// TestLaunchTriesEachAttempt: without capacity in the first k attempts, the build succeeds in the
// next one, after one call per attempt.
func TestLaunchTriesEachAttempt(t *testing.T) {
	config := func() map[string]any { // a new map each time: Prepare modifies it
		return map[string]any{
			"instance_types":     []string{"g4dn.xlarge", "g5.xlarge"},
			"markets":            []string{"spot", "on-demand"},
			"availability_zones": []string{"eu-central-1a", "eu-central-1b"}, "spot_allocation_strategy": "in-order",
		}
	}
	var order []string
	for _, kind := range []string{"g4dn.xlarge", "g5.xlarge"} {
		for _, market := range []string{"spot", ""} {
			for _, zone := range []string{"eu-central-1a", "eu-central-1b"} {
				order = append(order, kind+" "+market+" "+zone)
			}
		}
	}
	for k := range len(order) + 1 {
		t.Run(fmt.Sprintf("no capacity in %d attempts", k), func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			for nth := range k {
				l.refuse(noCapacity, nth+1)
			}
			err := l.run(t, t.Context(), config())
			calls := min(k+1, len(order))
			var tried []string
			for i := range l.made {
				tried = append(tried, l.values("InstanceType")[i]+" "+l.values("InstanceMarketOptions.MarketType")[i]+" "+l.values("Placement.AvailabilityZone")[i])
			}
			if !slices.Equal(tried, order[:calls]) {
				t.Errorf("got attempts\n%s\nwant\n%s", strings.Join(tried, "\n"), strings.Join(order[:calls], "\n"))
			}
			if n := strings.Count(l.ui.String(), "Launch refused: "); n != k {
				t.Errorf("got %d reported refusals, want %d:\n%s", n, k, l.ui.String())
			}
			if tokens := l.values("ClientToken"); len(slices.Compact(slices.Sorted(slices.Values(tokens)))) != calls {
				t.Errorf("got client tokens %v, want one per attempt", tokens)
			}
			if k < len(order) {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, want := range []string{"all 8 combinations", "g4dn.xlarge, spot, eu-central-1a: no capacity at this time", "g5.xlarge, on-demand, eu-central-1b", "capacity_timeout"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestLaunchRefusals(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		code   string // of the first call, or of all if always is set
		always bool
		calls  []string // InstanceType, market and place of each
		err    []string
		said   string
	}{
		{"by default EC2 chooses, then each zone", nil, noCapacity, false, []string{"g4dn.xlarge  ", "g4dn.xlarge  eu-central-1a"}, nil, "g4dn.xlarge, on-demand, a zone chosen by EC2: no capacity at this time"},
		{"a zone without the type", map[string]any{"availability_zones": []string{"eu-central-1c", "eu-central-1a"}}, "", false,
			[]string{"g4dn.xlarge  eu-central-1c", "g4dn.xlarge  eu-central-1a"}, nil, "is not supported in your requested Availability Zone (eu-central-1c) (Unsupported)"},
		{"a quota", map[string]any{"markets": []string{"spot", "on-demand"}, "spot_allocation_strategy": "in-order"}, "MaxSpotInstanceCountExceeded", false,
			[]string{"g4dn.xlarge spot ", "g4dn.xlarge  "}, nil, "g4dn.xlarge, spot, everywhere: exceeds the account's quota"},
		{"all quotas are exceeded", nil, "VcpuLimitExceeded", true, []string{"g4dn.xlarge  "},
			[]string{`"Running On-Demand G and VT instances" (L-DB2E81BA)`, "--quota-code L-DB2E81BA --region eu-central-1", "g4dn.xlarge, on-demand, everywhere: exceeds the account's quota"}, ""},
		{"a spot price that is too low", map[string]any{"spot_price": "0.01", "availability_zones": []string{"eu-central-1a"}}, "", false,
			[]string{"g4dn.xlarge spot eu-central-1a"}, []string{"Your Spot request price of 0.01 is lower", "raise spot_price"}, ""},
		{"the wrong architecture stops", map[string]any{"instance_types": []string{"g4dn.xlarge", "g5g.xlarge", "g5.xlarge"}, "availability_zone": "eu-central-1a"}, noCapacity, false,
			[]string{"g4dn.xlarge  eu-central-1a", "g5g.xlarge  eu-central-1a"}, []string{"launching: g5g.xlarge, on-demand, eu-central-1a: InvalidParameterValue: The architecture 'arm64'"}, ""},
		{"a refused permission stops", map[string]any{"preflight": "off"}, "UnauthorizedOperation", true, []string{"g4dn.xlarge  "}, []string{"UnauthorizedOperation: You are not authorized"}, ""},
		{"throttled too long", nil, "RequestLimitExceeded", true, []string{"g4dn.xlarge  ", "g4dn.xlarge  ", "g4dn.xlarge  ", "g4dn.xlarge  "}, []string{"RequestLimitExceeded"}, "EC2 throttles"},
		{"without a reservation, on demand", map[string]any{"markets": []string{"capacity-reservation", "on-demand"}, "availability_zone": "eu-central-1a"}, "", false,
			[]string{"g4dn.xlarge  eu-central-1a", "g4dn.xlarge  eu-central-1a"}, nil, "g4dn.xlarge, capacity-reservation, eu-central-1a: no reservation with available capacity"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			switch {
			case test.always:
				l.refuse(test.code, 0)
			case test.code != "":
				l.refuse(test.code, 1)
			}
			err := l.run(t, t.Context(), test.config)
			var tried []string
			for _, form := range l.made {
				tried = append(tried, form.Get("InstanceType")+" "+form.Get("InstanceMarketOptions.MarketType")+" "+form.Get("Placement.AvailabilityZone"))
			}
			if !slices.Equal(tried, test.calls) {
				t.Errorf("got attempts %q, want %q", tried, test.calls)
			}
			if err != nil && test.err == nil {
				t.Error(err)
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), "RequestID") {
				t.Errorf("got the SDK's request ID in the error: %v", err)
			}
			if !strings.Contains(l.ui.String(), test.said) {
				t.Errorf("got output without %q:\n%s", test.said, l.ui.String())
			}
		})
	}
}

// TestLaunchTokens: a throttled call is retried with its client token. A refused attempt
// gets a new token when it is repeated.
func TestLaunchTokens(t *testing.T) {
	l := newLaunches(t)
	l.refuse("RequestLimitExceeded", 1)
	l.refuse(noCapacity, 2, 3, 4, 5)
	if err := l.run(t, t.Context(), map[string]any{"availability_zones": []string{"eu-central-1a", "eu-central-1b"}, "capacity_timeout": "1h"}); err != nil {
		t.Fatal(err)
	}
	tokens := l.values("ClientToken")
	if len(tokens) != 6 || tokens[0] != tokens[1] || len(slices.Compact(slices.Sorted(slices.Values(tokens)))) != 5 {
		t.Errorf("got tokens %v, want 6 calls, the first two with the same token", tokens)
	}
	if said := l.ui.String(); strings.Count(said, "Launch refused: ") != 2 || !strings.Contains(said, "(capacity_timeout)") {
		t.Errorf("got output\n%s\nwant each refusal once, and the wait", said)
	}
}

func TestLaunchCancelled(t *testing.T) {
	for _, config := range []map[string]any{nil, {"capacity_timeout": "1h", "availability_zone": "eu-central-1a"}} {
		l := newLaunches(t)
		l.refuse(noCapacity, 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l.onCall = func(nth int) {
			if nth == 2 {
				cancel()
			}
		}
		if err := l.run(t, ctx, config); err == nil || len(l.made) != 2 {
			t.Errorf("got %d launches and error %v, want 2 and an error after cancelling at the second", len(l.made), err)
		}
	}
}

// TestLaunchWithoutResponse: EC2 launches an instance but every response is lost. The build
// finds its instance by the client token.
func TestLaunchWithoutResponse(t *testing.T) {
	l := newLaunches(t)
	l.lose = true
	if err := l.run(t, t.Context(), nil); err != nil {
		t.Errorf("%v\n%s", err, l.ui.String())
	}
}

func TestLaunchParameters(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		want   map[string]string // "" means not sent
	}{
		{"on demand", map[string]any{"shutdown_behavior": "terminate"}, map[string]string{"InstanceMarketOptions.MarketType": "", "InstanceInitiatedShutdownBehavior": "terminate", "CapacityReservationSpecification.CapacityReservationPreference": "none"}},
		{"open reservations, otherwise on demand", map[string]any{"capacity_reservation_preference": "open"}, map[string]string{"CapacityReservationSpecification.CapacityReservationPreference": "open"}},
		{"spot", map[string]any{"spot_price": "auto", "shutdown_behavior": "stop", "spot_tags": map[string]string{"For": "spot"}}, map[string]string{
			"InstanceMarketOptions.MarketType": "spot", "InstanceMarketOptions.SpotOptions.SpotInstanceType": "one-time", "InstanceMarketOptions.SpotOptions.MaxPrice": "",
			"InstanceInitiatedShutdownBehavior": "terminate", "CapacityReservationSpecification.CapacityReservationPreference": "", "TagSpecification.4.ResourceType": "spot-instances-request"}},
		{"a spot price", map[string]any{"spot_price": "0.9"}, map[string]string{"InstanceMarketOptions.SpotOptions.MaxPrice": "0.9"}},
		{"markets without a price", map[string]any{"markets": []string{"spot"}, "spot_tags": map[string]string{"For": "spot"}}, map[string]string{"InstanceMarketOptions.MarketType": "spot", "TagSpecification.4.ResourceType": "spot-instances-request"}},
		{"a limit is the highest spot price", map[string]any{"markets": []string{"spot"}, "max_price_per_hour": 0.5}, map[string]string{"InstanceMarketOptions.SpotOptions.MaxPrice": "0.500000"}},
		{"the limit of the whole build is also one", map[string]any{"spot_price": "0.9", "max_build_cost": 3, "max_build_time": "6h"}, map[string]string{"InstanceMarketOptions.SpotOptions.MaxPrice": "0.500000"}},
		{"the configured order", map[string]any{"spot_instance_types": []string{"g5.xlarge", "g4dn.xlarge"}}, map[string]string{"InstanceType": "g5.xlarge", "Placement.AvailabilityZone": ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			test.config["spot_allocation_strategy"] = "in-order"
			if err := l.run(t, t.Context(), test.config); err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				if got := l.made[0].Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestReservationParameters(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId":               {"capacity_reservation_id": "cr-0123456789abcdef0"},
		"CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationResourceGroupArn": {"capacity_reservation_group_arn": "arn:aws:resource-groups:us-east-1:111122223333:group/g"},
		"CapacityReservationSpecification.CapacityReservationPreference":                                 {"markets": []string{"capacity-reservation"}},
	} {
		l := newLaunches(t)
		err := l.run(t, t.Context(), config)
		if got := l.made[0].Get(name); got == "" || got == "none" || got == "open" {
			t.Errorf("%v: got %s = %q, want the reservation", config, name, got)
		}
		if err == nil {
			t.Errorf("%v: got no error, want one: no such reservation exists", config)
		}
	}
}

// TestReservations: the instance uses a reservation with available capacity.
func TestReservations(t *testing.T) {
	for _, test := range []struct {
		name   string
		match  ec2types.InstanceMatchCriteria // of the one reservation, for one g4dn.xlarge in eu-central-1b
		config func(id string) map[string]any
		calls  int
		err    string
	}{
		{"an open reservation", ec2types.InstanceMatchCriteriaOpen, func(string) map[string]any {
			return map[string]any{"markets": []string{"capacity-reservation"}, "availability_zones": []string{"eu-central-1a", "eu-central-1b"}}
		}, 2, ""},
		{"only amazon-ebs's option", ec2types.InstanceMatchCriteriaTargeted, func(id string) map[string]any {
			return map[string]any{"capacity_reservation_id": id, "availability_zone": "eu-central-1b"}
		}, 1, ""},
		{"a targeted reservation that is not named", ec2types.InstanceMatchCriteriaTargeted, func(string) map[string]any {
			return map[string]any{"markets": []string{"capacity-reservation"}, "availability_zone": "eu-central-1b"}
		}, 1, "no reservation with available capacity (ReservationCapacityExceeded)"},
		{"a reservation of another type", ec2types.InstanceMatchCriteriaOpen, func(string) map[string]any {
			return map[string]any{"markets": []string{"capacity-reservation", "on-demand"}, "instance_type": "g5.xlarge", "availability_zone": "eu-central-1b"}
		}, 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLaunches(t)
			client := l.client("eu-central-1")
			made, err := client.CreateCapacityReservation(t.Context(), &ec2.CreateCapacityReservationInput{
				InstanceType: aws.String("g4dn.xlarge"), InstancePlatform: ec2types.CapacityReservationInstancePlatformLinuxUnix,
				AvailabilityZone: aws.String("eu-central-1b"), InstanceCount: aws.Int32(1), InstanceMatchCriteria: test.match,
			})
			if err != nil {
				t.Fatal(err)
			}
			id := aws.ToString(made.CapacityReservation.CapacityReservationId)
			config := test.config(id)
			config["skip_create_ami"] = true
			_, err = l.build(t, t.Context(), config)
			if len(l.made) != test.calls || test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("got %d launches, error %v, want %d, %q\n%s", len(l.made), err, test.calls, test.err, l.ui.String())
			}
			found, err := client.DescribeCapacityReservations(t.Context(), &ec2.DescribeCapacityReservationsInput{CapacityReservationIds: []string{id}})
			if err != nil || aws.ToInt32(found.CapacityReservations[0].AvailableInstanceCount) != 1 {
				t.Errorf("the reservation is still in use: %v, %v", found, err)
			}
			if left := l.left(); len(left) != 1 {
				t.Errorf("got %v, want only the reservation", left)
			}
		})
	}
}

func TestLaunchPrices(t *testing.T) {
	deny := []string{"GetProducts", "DescribeSpotPriceHistory"}
	for _, test := range []struct {
		name   string
		config map[string]any
		deny   []string
		calls  int
		err    string
		source string
		price  float64
	}{
		{"reported with permission", nil, nil, 1, "", "AWS Price List, simulated", 0.6},
		{"not reported without permission", nil, deny, 1, "", "", 0},
		{"the user's price", map[string]any{"prices": map[string]any{"g4dn.xlarge": 0.526}}, deny, 1, "", "prices", 0.526},
		{"the spot price of the chosen zone", map[string]any{"markets": []string{"spot"}, "availability_zone": "eu-central-1b"}, nil, 1, "", "EC2 spot price history, simulated", 0.2424},
		{"within the limit", map[string]any{"max_price_per_hour": 0.6}, nil, 1, "", "AWS Price List, simulated", 0.6},
		{"above the limit", map[string]any{"max_price_per_hour": 0.5}, nil, 0, "preflight: max_price_per_hour: g4dn.xlarge, on-demand costs $0.60 per hour (AWS Price List), more than $0.50; raise it, shorten", "", 0},
		{"above the limit by the user's price", map[string]any{"max_price_per_hour": 0.5, "prices": map[string]any{"g4dn.xlarge": 0.526}}, deny, 0, "costs $0.526 per hour (prices)", "", 0},
		{"unknown with a limit", map[string]any{"max_price_per_hour": 100}, deny, 0, `price: set it, such as prices = { "g4dn.xlarge" = USD_PER_HOUR }`, "", 0},
		{"unknown on spot: EC2 enforces the limit", map[string]any{"max_price_per_hour": 1, "markets": []string{"spot"}}, deny, 1, "", "", 0},
		{"spot above the limit", map[string]any{"max_price_per_hour": 0.2, "markets": []string{"spot"}, "availability_zone": "eu-central-1a"}, nil, 0, "(EC2 spot price history), more than $0.20", "", 0},
		{"above the limit on demand, within it on spot", map[string]any{"max_price_per_hour": 0.4, "markets": []string{"on-demand", "spot"}, "availability_zone": "eu-central-1b"}, nil, 1, "", "EC2 spot price history, simulated", 0.2424},
		{"above the cost limit", map[string]any{"max_build_cost": 3, "max_build_time": "6h"}, nil, 0, "preflight: max_build_cost: g4dn.xlarge, on-demand could cost $3.60: $0.60 per hour (AWS Price List) x 6h0m0s of max_build_time, more than $3.00; raise it, shorten", "", 0},
		{"within the cost limit", map[string]any{"max_build_cost": 3, "max_build_time": "4h"}, nil, 1, "", "AWS Price List, simulated", 0.6},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			for _, action := range test.deny {
				l.aws.AddFault(rehearsal.Fault{Action: action, Code: "AccessDeniedException"})
			}
			raw := map[string]any{"ami_regions": []string{"eu-central-1"}}
			maps.Copy(raw, test.config)
			artifact, err := l.build(t, t.Context(), raw)
			if len(l.made) != test.calls {
				t.Errorf("got %d launches, want %d", len(l.made), test.calls)
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got error without %q:\n%v", test.err, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Market string  `json:"market"`
				Price  float64 `json:"price_per_hour_usd"`
				Source string  `json:"price_source"`
			}
			if err := json.Unmarshal([]byte(artifact.State("ethminer.build").(string)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Price < test.price-1e-9 || got.Price > test.price+1e-9 || got.Source != test.source || got.Market == "" {
				t.Errorf("got report %+v, want price %v from %q", got, test.price, test.source)
			}
		})
	}
}

// TestSpotInterruption: EC2 interrupts the spot instance during provisioning.
func TestSpotInterruption(t *testing.T) {
	failed := errors.New("Script exited with non-zero exit status: 2300218")
	for _, test := range []struct {
		name     string
		config   map[string]any
		reclaims int  // number of instances that EC2 interrupts
		hangs    bool // the provisioner does not notice, and waits
		silent   bool // the provisioner does not notice, and succeeds
		launches int
		err      []string
	}{
		{"the script fails", nil, 1, false, false, 1, []string{"EC2 interrupted the spot instance i-", "g4dn.xlarge in eu-central-1", "spot_restarts = 1"}},
		{"the connection is dead", nil, 1, true, false, 1, []string{"EC2 interrupted the spot instance i-"}},
		{"noticed at image creation", map[string]any{"skip_create_ami": false}, 1, false, true, 1, []string{"EC2 interrupted the spot instance i-"}},
		{"restarted", map[string]any{"spot_restarts": 1}, 1, false, false, 2, nil},
		{"restarted after a dead connection", map[string]any{"spot_restarts": 1}, 1, true, false, 2, nil},
		{"restarted after successful provisioning", map[string]any{"spot_restarts": 1}, 1, false, true, 2, nil},
		{"restarted at most spot_restarts times", map[string]any{"spot_restarts": 2}, 3, false, false, 3, []string{"EC2 interrupted"}},
		{"not restarted for a failing script", map[string]any{"spot_restarts": 2}, 0, false, false, 1, []string{failed.Error()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			provisioned := 0
			l.hook = &packersdk.MockHook{RunFunc: func(ctx context.Context) error {
				provisioned++
				if provisioned > test.reclaims && test.reclaims > 0 {
					return nil
				}
				if test.reclaims > 0 {
					l.aws.AddFault(rehearsal.Fault{Region: "eu-central-1", Reclaim: "*"})
				}
				if test.hangs {
					<-ctx.Done()
				}
				if test.silent {
					return nil
				}
				return failed
			}}
			config := map[string]any{"markets": []string{"spot"}, "communicator": "none", "rehearsal_instance": "sandbox"}
			maps.Copy(config, test.config)
			err := l.run(t, t.Context(), config)
			if len(l.made) != test.launches {
				t.Errorf("got %d launches, want %d\n%s", len(l.made), test.launches, l.ui.String())
			}
			if test.err == nil && err != nil {
				t.Errorf("%v\n%s", err, l.ui.String())
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q: %v", want, err)
				}
			}
			if test.reclaims > 0 && err != nil && strings.Contains(err.Error(), "Script exited") {
				t.Errorf("got the provisioner's error, want the interruption: %v", err)
			}
		})
	}
}

// TestSpotInterruptionIsReported: the report includes the time of interrupted instances.
func TestSpotInterruptionIsReported(t *testing.T) {
	l := newLaunches(t)
	provisioned := 0
	l.hook = &packersdk.MockHook{RunFunc: func(context.Context) error {
		if provisioned++; provisioned > 1 {
			return nil
		}
		l.aws.AddFault(rehearsal.Fault{Region: "eu-central-1", Reclaim: "*"})
		return errors.New("broken pipe")
	}}
	artifact, err := l.build(t, t.Context(), map[string]any{
		"markets": []string{"spot"}, "spot_restarts": 1, "communicator": "none", "rehearsal_instance": "sandbox",
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, l.ui.String())
	}
	if text := artifact.State("ethminer.build").(string); !strings.Contains(text, `"spot_reclaims":1`) || !strings.Contains(text, `"reclaimed_seconds":`) {
		t.Errorf("got report without the interruption: %s", text)
	}
	if left := l.left(); len(left) != 4 {
		t.Errorf("want two images with a snapshot each, got:\n%s", strings.Join(left, "\n"))
	}
}

// TestInstanceEndsDuringProvisioning: someone ends the instance. The build fails with
// the cause at once, also if the provisioner does not notice, and leaves nothing.
func TestInstanceEndsDuringProvisioning(t *testing.T) {
	own := errors.New("Script exited with non-zero exit status: 2300218")
	for _, test := range []struct {
		name   string
		config map[string]any
		end    func(ctx context.Context, client *ec2.Client, id string) error
		hangs  bool // the provisioner does not notice, and waits
		want   []string
	}{
		{"terminated", nil, terminateInstance, false, []string{"the instance i-", "(g4dn.xlarge in eu-central-1", "User initiated shutdown", "CloudTrail names the user"}},
		{"terminated, with a dead connection", nil, terminateInstance, true, []string{"the instance i-", "User initiated shutdown"}},
		{"terminated on spot", map[string]any{"markets": []string{"spot"}, "spot_restarts": 2}, terminateInstance, true, []string{"the instance i-", "User initiated shutdown"}},
		{"stopped", nil, stopInstance, false, []string{"is stop", "CloudTrail names the user"}},
		{"neither", nil, func(context.Context, *ec2.Client, string) error { return nil }, false, []string{own.Error()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			calls := 0
			l.hook = &packersdk.MockHook{RunFunc: func(ctx context.Context) error {
				if calls++; calls > 1 {
					return nil // the cleanup provisioner
				}
				client := l.client("eu-central-1")
				out, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
				if err == nil {
					err = test.end(ctx, client, aws.ToString(out.Reservations[0].Instances[0].InstanceId))
				}
				if err != nil {
					t.Error(err)
				}
				if test.hangs {
					<-ctx.Done()
				}
				return own
			}}
			config := map[string]any{"communicator": "none", "rehearsal_instance": "sandbox"}
			maps.Copy(config, test.config)
			err := l.run(t, t.Context(), config)
			if len(l.made) != 1 {
				t.Errorf("got %d launches, want 1", len(l.made))
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q: %v", want, err)
				}
			}
		})
	}
}

func terminateInstance(ctx context.Context, client *ec2.Client, id string) error {
	_, err := client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	return err
}

func stopInstance(ctx context.Context, client *ec2.Client, id string) error {
	_, err := client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	return err
}
