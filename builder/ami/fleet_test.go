// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// inFleet returns the configuration of a spot instance of two types in two zones.
func inFleet(more map[string]any) map[string]any {
	config := map[string]any{
		"instance_types": []string{"g5.12xlarge", "g4dn.xlarge"}, "availability_zones": []string{"eu-central-1a", "eu-central-1b"}, "markets": []string{"spot"},
		"skip_create_ami": true, "ami_regions": []string{"eu-central-1"},
	}
	maps.Copy(config, more)
	return config
}

// choices lists the requests of a build: each choice of a fleet, or the launch.
func (l *launches) choices() (requests []string) {
	for _, form := range l.made {
		if form.Get("Action") == "RunInstances" {
			requests = append(requests, strings.TrimSpace("run "+form.Get("InstanceType")+" "+form.Get("Placement.AvailabilityZone")))
			continue
		}
		choices := []string{form.Get("SpotOptions.AllocationStrategy")}
		for n := 1; ; n++ {
			override := fmt.Sprintf("LaunchTemplateConfigs.1.Overrides.%d.", n)
			if !form.Has(override + "InstanceType") {
				break
			}
			choice := form.Get(override+"InstanceType") + " " + form.Get(override+"AvailabilityZone")
			for _, more := range []string{"Priority", "MaxPrice"} {
				if form.Has(override + more) {
					choice += " " + form.Get(override+more)
				}
			}
			choices = append(choices, choice)
		}
		requests = append(requests, strings.Join(choices, ", "))
	}
	return requests
}

// TestFleetStrategies: EC2 launches one of all types and zones by the strategy, and the
// report has the launched type, zone and price.
func TestFleetStrategies(t *testing.T) {
	const all = "g5.12xlarge eu-central-1a, g5.12xlarge eu-central-1b, g4dn.xlarge eu-central-1a, g4dn.xlarge eu-central-1b"
	for _, test := range []struct {
		name     string
		config   map[string]any
		requests []string
		launched string
	}{
		{"by default", nil, []string{"price-capacity-optimized, " + all}, "g4dn.xlarge eu-central-1b"},
		{"capacity", map[string]any{"spot_allocation_strategy": "capacity-optimized"}, []string{"capacity-optimized, " + all}, "g5.12xlarge eu-central-1a"},
		{"priorities", map[string]any{"spot_allocation_strategy": "capacity-optimized-prioritized", "instance_types": []string{"g4dn.xlarge", "g5.12xlarge"}},
			[]string{"capacity-optimized-prioritized, g4dn.xlarge eu-central-1a 0, g4dn.xlarge eu-central-1b 1, g5.12xlarge eu-central-1a 2, g5.12xlarge eu-central-1b 3"}, "g4dn.xlarge eu-central-1a"},
		{"the lowest price", map[string]any{"spot_allocation_strategy": "lowest-price"}, []string{"lowest-price, " + all}, "g4dn.xlarge eu-central-1b"},
		{"amazon-ebs's option", map[string]any{"instance_types": nil, "spot_instance_types": []string{"g5.12xlarge", "g4dn.xlarge"}, "markets": nil}, []string{"price-capacity-optimized, " + all}, "g4dn.xlarge eu-central-1b"},
		{"a maximum price", map[string]any{"spot_price": "0.9", "instance_types": []string{"g4dn.xlarge"}},
			[]string{"price-capacity-optimized, g4dn.xlarge eu-central-1a 0.9, g4dn.xlarge eu-central-1b 0.9"}, "g4dn.xlarge eu-central-1b"},
		{"a limit removes choices", map[string]any{"max_price_per_hour": 0.26},
			[]string{"price-capacity-optimized, g4dn.xlarge eu-central-1a 0.260000, g4dn.xlarge eu-central-1b 0.260000"}, "g4dn.xlarge eu-central-1b"},
		{"every zone of the default VPC", map[string]any{"availability_zones": nil, "instance_types": []string{"g4dn.xlarge"}},
			[]string{"price-capacity-optimized, g4dn.xlarge eu-central-1a, g4dn.xlarge eu-central-1b, g4dn.xlarge eu-central-1c"}, "g4dn.xlarge eu-central-1b"},
		{"in order", map[string]any{"spot_allocation_strategy": "in-order"}, []string{"run g5.12xlarge eu-central-1a"}, "g5.12xlarge eu-central-1a"},
		{"one type and one zone", map[string]any{"instance_types": []string{"g5.12xlarge"}, "availability_zones": []string{"eu-central-1a"}}, []string{"run g5.12xlarge eu-central-1a"}, "g5.12xlarge eu-central-1a"},
		{"a type at a time, before its other market", map[string]any{"markets": []string{"spot", "on-demand"}}, []string{"price-capacity-optimized, g5.12xlarge eu-central-1a, g5.12xlarge eu-central-1b"}, "g5.12xlarge eu-central-1b"},
		{"CPU credits are of a template", map[string]any{"instance_types": []string{"t3.micro", "g5.12xlarge"}}, []string{"price-capacity-optimized, t3.micro eu-central-1a, t3.micro eu-central-1b"}, "t3.micro eu-central-1b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			config := inFleet(test.config)
			maps.DeleteFunc(config, func(_ string, v any) bool { return v == nil })
			config["skip_create_ami"] = false
			artifact, err := l.build(t, t.Context(), config)
			if err != nil {
				t.Fatalf("%v\n%s", err, l.ui.String())
			}
			if got := l.choices(); !slices.Equal(got, test.requests) {
				t.Errorf("got requests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.requests, "\n"))
			}
			var got struct {
				Type   string  `json:"instance_type"`
				Zone   string  `json:"availability_zone"`
				Market string  `json:"market"`
				Price  float64 `json:"price_per_hour_usd"`
			}
			if err := json.Unmarshal([]byte(artifact.State("ethminer.build").(string)), &got); err != nil {
				t.Fatal(err)
			}
			price, err := l.client("eu-central-1").DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{
				InstanceTypes: []ec2types.InstanceType{ec2types.InstanceType(got.Type)}, AvailabilityZone: &got.Zone, ProductDescriptions: []string{"Linux/UNIX"},
				StartTime: aws.Time(time.Now()), EndTime: aws.Time(time.Now()),
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := *price.SpotPriceHistory[0].SpotPrice; got.Type+" "+got.Zone != test.launched || got.Market != "spot" || fmt.Sprintf("%.6f", got.Price) != want {
				t.Errorf("got report %+v, want %s at %s", got, test.launched, want)
			}
			if left := l.left(); len(left) != 2 {
				t.Errorf("got %v, want only the image and its snapshot", left)
			}
		})
	}
}

// TestFleetRefusals: the errors of a fleet are refusals of its choices.
func TestFleetRefusals(t *testing.T) {
	const a, b = "eu-central-1a", "eu-central-1b"
	refuse := func(kind, zone, code string) rehearsal.Fault {
		where := map[string]string{"InstanceType": kind}
		if zone != "" {
			where["Placement.AvailabilityZone"] = zone
		}
		return rehearsal.Fault{Action: "RunInstances", Where: where, Code: code}
	}
	ends := func(kind, code string, times int) rehearsal.Fault {
		return rehearsal.Fault{LaunchEnds: code, Region: "eu-central-1", Where: map[string]string{"InstanceType": kind}, Times: times}
	}
	for _, test := range []struct {
		name     string
		config   map[string]any
		faults   []rehearsal.Fault
		requests int
		ended    int // instances
		refused  []string
		err      []string
	}{
		{"without capacity, the next choice", nil, []rehearsal.Fault{refuse("g4dn.xlarge", "", noCapacity)}, 1, 0,
			[]string{"g4dn.xlarge, spot, eu-central-1b: no capacity at this time (" + noCapacity + ")", "g4dn.xlarge, spot, eu-central-1a: no capacity"}, nil},
		{"a quota applies to all places", nil, []rehearsal.Fault{refuse("g4dn.xlarge", "", "MaxSpotInstanceCountExceeded")}, 1, 0, []string{"g4dn.xlarge, spot, everywhere: exceeds the account's quota"}, nil},
		{"all are refused", nil, []rehearsal.Fault{refuse("g4dn.xlarge", "", noCapacity), refuse("g5.12xlarge", "", "Unsupported")}, 1, 0,
			[]string{"g4dn.xlarge, spot, " + a, "g4dn.xlarge, spot, " + b, "g5.12xlarge, spot, " + a, "g5.12xlarge, spot, " + b}, []string{"all 4 combinations", "g5.12xlarge, spot, eu-central-1b", "set capacity_timeout", "not offered: g5.12xlarge"}},
		{"the next market", map[string]any{"markets": []string{"spot", "on-demand"}}, []rehearsal.Fault{{Action: "RunInstances", Where: map[string]string{"InstanceMarketOptions.MarketType": "spot"}, Code: noCapacity}}, 2, 0,
			[]string{"g5.12xlarge, spot, " + a, "g5.12xlarge, spot, " + b}, nil},
		{"a maximum price", map[string]any{"spot_price": "0.01"}, nil, 1, 0, []string{"g5.12xlarge, spot, " + a, "g4dn.xlarge, spot, " + b}, []string{"lower than the minimum required Spot request fulfillment price", "raise spot_price"}},
		{"retried until capacity_timeout", map[string]any{"capacity_timeout": "1h"}, []rehearsal.Fault{
			refuse("g5.12xlarge", "", "Unsupported"), {Action: "RunInstances", Nth: 1, Code: noCapacity}, {Action: "RunInstances", Nth: 2, Code: noCapacity}, {Action: "RunInstances", Nth: 5, Code: noCapacity},
		}, 2, 0, []string{"g5.12xlarge, spot, " + a, "g4dn.xlarge, spot, " + b}, nil},
		{"the instance ends before it runs", nil, []rehearsal.Fault{ends("g4dn.xlarge", "Server.InsufficientInstanceCapacity", 1)}, 2, 1,
			[]string{"g4dn.xlarge, spot, eu-central-1b: i-"}, nil},
		{"all instances end", nil, []rehearsal.Fault{ends("g4dn.xlarge", "Server.InternalError", 0), ends("g5.12xlarge", "Server.InternalError", 0)}, 4, 4, nil, []string{"all 4 combinations", "ended before it ran"}},
		{"an error that all choices share ends the launch", nil, []rehearsal.Fault{{Action: "RunInstances", Code: "InvalidParameterValue", Message: "The value is wrong"}}, 1, 0, nil,
			[]string{"launching: g4dn.xlarge, spot, eu-central-1b: InvalidParameterValue: The value is wrong"}},
		{"a refused fleet ends the launch", map[string]any{"preflight": "off"}, []rehearsal.Fault{{Action: "CreateFleet", Code: "UnauthorizedOperation"}}, 1, 0, nil, []string{"fleet of 4 types and places: UnauthorizedOperation"}},
		{"a refused template ends the launch", map[string]any{"preflight": "off"}, []rehearsal.Fault{{Action: "CreateLaunchTemplate", Code: "UnauthorizedOperation"}}, 0, 0, nil, []string{"creating the launch template: operation error EC2: CreateLaunchTemplate, UnauthorizedOperation", "; allow ec2:CreateLaunchTemplate in eu-central-1"}},
		{"throttled choices", nil, []rehearsal.Fault{
			{Action: "RunInstances", Nth: 1, Code: "RequestLimitExceeded"}, {Action: "RunInstances", Nth: 2, Code: "RequestLimitExceeded"}, {Action: "RunInstances", Nth: 3, Code: "RequestLimitExceeded"}, {Action: "RunInstances", Nth: 4, Code: "RequestLimitExceeded"},
		}, 2, 0, nil, nil},
		{"throttled", nil, []rehearsal.Fault{{Action: "CreateFleet", Nth: 1, Code: "RequestLimitExceeded"}}, 2, 0, nil, nil},
		{"throttled too long", nil, []rehearsal.Fault{{Action: "CreateFleet", Code: "RequestLimitExceeded"}}, 4, 0, nil, []string{"fleet of 4 types and places: operation error EC2: CreateFleet, eu-central-1: RequestLimitExceeded", "; try again later"}},
		{"a price limit", map[string]any{"max_price_per_hour": 0.1}, nil, 0, 0, []string{"g5.12xlarge, spot, " + a, "g4dn.xlarge, spot, " + b}, []string{"more than $0.10 (max_price_per_hour)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			for _, f := range test.faults {
				l.aws.AddFault(f)
			}
			err := l.run(t, t.Context(), inFleet(test.config))
			said := l.ui.String()
			if len(l.made) != test.requests {
				t.Errorf("got %d requests, want %d\n%s\n%s", len(l.made), test.requests, strings.Join(l.choices(), "\n"), said)
			}
			for _, want := range test.refused {
				if !strings.Contains(said, "Launch refused: "+want) {
					t.Errorf("got output without the refusal %q:\n%s", want, said)
				}
			}
			if test.err == nil && err != nil {
				t.Error(err)
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
			ended := l.aws.Calls()["eu-central-1"]["TerminateInstances"]
			if err == nil {
				ended-- // the one that ran
			}
			if ended != test.ended {
				t.Errorf("got %d ended instances, want %d\n%s", ended, test.ended, said)
			}
		})
	}
}

// TestFleetTokens: a repeated request for the same choices has the same token only if
// EC2 has not answered the first one.
func TestFleetTokens(t *testing.T) {
	l := newLaunches(t)
	l.aws.AddFault(rehearsal.Fault{Action: "CreateFleet", Nth: 1, Code: "RequestLimitExceeded"})
	for nth := 1; nth <= 4; nth++ {
		l.refuse(noCapacity, nth)
	}
	if err := l.run(t, t.Context(), inFleet(map[string]any{"capacity_timeout": "1h"})); err != nil {
		t.Fatal(err)
	}
	if tokens := l.values("ClientToken"); len(tokens) != 3 || tokens[0] != tokens[1] || tokens[1] == tokens[2] {
		t.Errorf("got tokens %v, want three calls, the first two with the same one", tokens)
	}
	if calls := l.aws.Calls()["eu-central-1"]; calls["CreateLaunchTemplate"] != 1 {
		t.Errorf("got %d templates, want one for all requests", calls["CreateLaunchTemplate"])
	}
}

// everyCall are the numbers of more calls than a build makes.
var everyCall = func() (nths []int) {
	for nth := range 100000 {
		nths = append(nths, nth+1)
	}
	return nths
}()

// TestFleetWithoutResponse: EC2 creates the template and the fleet, and the responses are
// lost: one of them, or all.
func TestFleetWithoutResponse(t *testing.T) {
	for _, action := range []string{"CreateLaunchTemplate", "CreateFleet"} {
		for name, nths := range map[string][]int{"one": {1}, "all": everyCall} {
			for how, answer := range map[string]func(*http.Response) (*http.Response, error){
				"lost": func(*http.Response) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
				"500": func(*http.Response) (*http.Response, error) {
					return refuse(500, "InternalError", "an internal error"), nil
				},
			} {
				t.Run(action+", "+name+" "+how, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					lost := &fault{world: w, action: action, nths: nths, answer: func(r *http.Request) (*http.Response, error) {
						response, _ := w.RoundTrip(r)
						return answer(response)
					}}
					w.transport, w.outageLimit = lost, 100*time.Millisecond
					_, err := w.build(t, t.Context(), inFleet(map[string]any{"preflight": "off"}))
					if err != nil || lost.seen.Load() < 2 {
						t.Errorf("got %v after %d calls, want the resources of the lost response to be used\n%s", err, lost.seen.Load(), w.ui.String())
					}
					if left := w.left(); len(left) > 0 {
						t.Errorf("got leftover resources, want none: %v\n%s", left, w.ui.String())
					}
				})
			}
		}
	}
}

// TestLostThenRefused: the response to a launch is lost, and the retry ends the launch.
// The instance is found and removed.
func TestLostThenRefused(t *testing.T) {
	for action, config := range map[string]map[string]any{
		"CreateFleet":  inFleet(map[string]any{"preflight": "off"}),
		"RunInstances": {"preflight": "off", "skip_create_ami": true},
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := true
			w.transport = &fault{world: w, action: action, nths: everyCall, answer: func(r *http.Request) (*http.Response, error) {
				if !first {
					return refuse(403, "UnauthorizedOperation", "the session has ended"), nil
				}
				first = false
				_, _ = w.RoundTrip(r)
				return nil, io.ErrUnexpectedEOF
			}}
			if _, err := w.build(t, t.Context(), config); err == nil {
				t.Error("got no error, want the refusal")
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("got leftover resources, want none: %v\n%s", left, w.ui.String())
			}
		})
	}
}

// TestFleetAppearsLate: all responses of a call are lost, and EC2 does not find its
// resource for a while. The instance is used, and the template is removed.
func TestFleetAppearsLate(t *testing.T) {
	for action, fails := range map[string]bool{"CreateLaunchTemplate": true, "CreateFleet": false} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			profile, err := pace.Parse("instant,notfound=400ms")
			if err != nil {
				t.Fatal(err)
			}
			w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: profile})
			t.Cleanup(func() { _ = w.aws.Close() })
			lost := &fault{world: w, action: action, nths: everyCall, answer: func(r *http.Request) (*http.Response, error) {
				if response, err := w.RoundTrip(r); err != nil || response.StatusCode == http.StatusBadRequest {
					return response, err // the new template is not found yet
				}
				return nil, io.ErrUnexpectedEOF
			}}
			w.transport, w.outageLimit = lost, 50*time.Millisecond
			if _, err := w.build(t, t.Context(), inFleet(map[string]any{"preflight": "off"})); (err != nil) != fails {
				t.Errorf("got error %v\n%s", err, w.ui.String())
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("got leftover resources, want none: %v\n%s", left, w.ui.String())
			}
		})
	}
}

// TestFleetNotCreated: no request reaches EC2, so there is nothing to find.
func TestFleetNotCreated(t *testing.T) {
	for _, action := range []string{"CreateLaunchTemplate", "CreateFleet"} {
		w := newWorld(t)
		w.transport = &fault{world: w, action: action, nths: everyCall, answer: func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }}
		w.outageLimit = 100 * time.Millisecond
		if _, err := w.build(t, t.Context(), inFleet(map[string]any{"preflight": "off"})); err == nil {
			t.Errorf("%s: got no error", action)
		}
		if left := w.left(); len(left) > 0 || strings.Contains(w.ui.String(), "left behind") {
			t.Errorf("%s: got leftover resources, want none: %v\n%s", action, left, w.ui.String())
		}
	}
}

// TestFleetCancelled cancels a build during each call of the launch: the request is not
// aborted, and nothing is left.
func TestFleetCancelled(t *testing.T) {
	for _, action := range []string{"CreateLaunchTemplate", "CreateFleet", "DescribeInstances", "DeleteLaunchTemplate"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(action, " ", after), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				nth := 1
				if action == "DescribeInstances" {
					nth = 2 // the first one looks for older builds
				}
				w.transport = &fault{world: w, action: action, nths: []int{nth}, answer: func(r *http.Request) (*http.Response, error) {
					if !after {
						cancel()
						return w.RoundTrip(r)
					}
					response, err := w.RoundTrip(r)
					if cancel(); r.Context().Err() != nil { // the response is lost
						return nil, r.Context().Err()
					}
					return response, err
				}}
				_, err := w.build(t, ctx, inFleet(map[string]any{"preflight": "off"}))
				if err == nil {
					t.Error("got no error")
				}
				if left := w.left(); len(left) > 0 {
					t.Errorf("got leftover resources, want none: %v\n%s", left, w.ui.String())
				}
				if action == "CreateLaunchTemplate" && w.aws.Calls()["eu-central-1"]["CreateFleet"] > 0 {
					t.Error("got a fleet after the cancellation")
				}
			})
		}
	}
}

// TestFleetAtEachCall refuses, loses or cuts each call of a build with a fleet.
func TestFleetAtEachCall(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), inFleet(nil)); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*world, int){
		"refused": func(w *world, nth int) {
			w.aws.AddFault(rehearsal.Fault{Nth: nth, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
		},
		"lost": func(w *world, nth int) { w.lose = nth },
		"cut":  func(w *world, nth int) { w.cut = nth },
	} {
		for nth := 1; nth <= clean.calls; nth++ {
			t.Run(fmt.Sprintf("%s/call %d", name, nth), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				spoil(w, nth)
				_, err := w.build(t, t.Context(), inFleet(nil))
				for _, line := range w.left() {
					if !named(w.ui.String(), line) {
						t.Errorf("got an unreported leftover (error %v): %s\n%s", err, line, w.ui.String())
					}
				}
			})
		}
	}
}

// TestFleetNotFoundYet: EC2 does not find the new template, key pair and group at first.
func TestFleetNotFoundYet(t *testing.T) {
	w := newWorld(t)
	profile, err := pace.Parse("instant,notfound=1s")
	if err != nil {
		t.Fatal(err)
	}
	w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: profile})
	t.Cleanup(func() { _ = w.aws.Close() })
	for _, code := range []string{"InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound"} {
		w.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Nth: 1, Code: code})
	}
	if _, err := w.build(t, t.Context(), inFleet(nil)); err != nil {
		t.Errorf("%v\n%s", err, w.ui.String())
	}
	if left := w.left(); len(left) > 0 || strings.Contains(w.ui.String(), "left behind") {
		t.Errorf("got leftover resources, want none: %v\n%s", left, w.ui.String())
	}
	if calls := w.aws.Calls()["eu-central-1"]; calls["CreateFleet"] < 2 {
		t.Errorf("got %d requests, want retries", calls["CreateFleet"])
	}
}

// TestFleetTags: the template and everything that it launches have the build's tags.
func TestFleetTags(t *testing.T) {
	w := newWorld(t)
	var forms []url.Values
	r := w.record(nil)
	if _, err := w.build(t, t.Context(), inFleet(map[string]any{"run_tags": map[string]string{"Owner": "me"}, "fleet_tags": map[string]string{"Of": "{{ .BuildRegion }}"}})); err != nil {
		t.Fatal(err)
	}
	forms = append(r.sent["CreateLaunchTemplate"], r.sent["CreateFleet"]...)
	var kinds []string
	for _, form := range forms {
		for key, kind := range map[string]string{"": "", "LaunchTemplateData.": "launched "} {
			for n := 1; form.Has(fmt.Sprintf("%sTagSpecification.%d.ResourceType", key, n)); n++ {
				spec := fmt.Sprintf("%sTagSpecification.%d.", key, n)
				has := map[string]string{}
				for m := 1; form.Has(fmt.Sprintf("%sTag.%d.Key", spec, m)); m++ {
					has[form.Get(fmt.Sprintf("%sTag.%d.Key", spec, m))] = form.Get(fmt.Sprintf("%sTag.%d.Value", spec, m))
				}
				if has[tags.BuildID] == "" || has[tags.Expires] == "" {
					t.Errorf("%s lacks the build's tags: %v", form.Get(spec+"ResourceType"), has)
				}
				kinds = append(kinds, strings.TrimSpace(kind+form.Get(spec+"ResourceType")+" "+has["Owner"]+has["Of"]))
			}
		}
	}
	slices.Sort(kinds)
	if want := []string{"fleet meeu-central-1", "launch-template me", "launched instance me", "launched network-interface me", "launched spot-instances-request", "launched volume"}; !slices.Equal(slices.Compact(kinds), want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
}

// TestFleetTemplateIsRemoved: the template is gone while the instance is provisioned, and
// a resumed build removes the one of a killed build.
func TestFleetTemplateIsRemoved(t *testing.T) {
	const id = "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"
	w := newWorld(t)
	client := w.client("eu-central-1")
	made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("killed"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "g4dn.xlarge"},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeLaunchTemplate, Tags: []ec2types.Tag{{Key: aws.String(tags.BuildID), Value: aws.String(id)}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := inFleet(map[string]any{"build_id": id})
	delete(config, "skip_create_ami")
	w.onCall = func(int) {
		if calls := w.aws.Calls()["eu-central-1"]; calls["CreateImage"] > 0 && slices.ContainsFunc(w.left(), func(line string) bool { return strings.Contains(line, "launch-template") }) {
			t.Errorf("got a template after the launch: %v", w.left())
		}
	}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if want := "Removed leftovers of the earlier run: " + *made.LaunchTemplate.LaunchTemplateId; !strings.Contains(w.ui.String(), want) {
		t.Errorf("got output without %q:\n%s", want, w.ui.String())
	}
}

// TestFleetPolicyAllowsOwnTemplatesOnly: the minimum policy deletes only launch templates
// of a build, by id or by name.
func TestFleetPolicyAllowsOwnTemplatesOnly(t *testing.T) {
	w := newWorld(t)
	client := w.client("eu-central-1")
	for name, list := range map[string][]ec2types.Tag{"mine": {{Key: aws.String(tags.BuildID), Value: aws.String("b")}}, "theirs": {{Key: aws.String("Name"), Value: aws.String("rig")}}} {
		made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "g4dn.xlarge"},
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeLaunchTemplate, Tags: list}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.aws.Allow(required(policyCase{config: inFleet(nil)}.minimum(t)))
		if name == "theirs" {
			_, err := client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId})
			if !awsclient.IsUnauthorized(err) {
				t.Errorf("deleting another template by id: %v", err)
			}
		}
		_, err = client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: &name})
		if denied := awsclient.IsUnauthorized(err); denied != (name == "theirs") {
			t.Errorf("deleting %s by name: %v", name, err)
		}
		w.aws.Allow(nil)
	}
}
