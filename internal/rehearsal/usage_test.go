// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// EC2 bills only the state running. An instance is held until the request to terminate
// it.
func TestUsage(t *testing.T) {
	l := newLab(t, "running=9s,stopped=13s,terminated=5s")
	id := l.run()
	used := func() (billed, held float64) {
		list := l.server.Usage()
		if len(list) != 1 || list[0].ID != id || list[0].Type != "g4dn.xlarge" || list[0].Region != "eu-central-1" {
			t.Fatalf("got %+v, want one instance", list)
		}
		return list[0].BilledSeconds, list[0].HeldSeconds
	}
	for _, step := range []struct {
		name         string
		do           func() error
		after        time.Duration // time after the step
		billed, held float64
	}{
		{"pending", nil, 9 * time.Second, 0, 9},
		{"running", nil, 20 * time.Second, 20, 29},
		{"stopping and stopped", func() error {
			_, err := l.ec2.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{id}})
			return err
		}, 60 * time.Second, 20, 89},
		{"started again", func() error {
			_, err := l.ec2.StartInstances(t.Context(), &sdk.StartInstancesInput{InstanceIds: []string{id}})
			return err
		}, 10 * time.Second, 21, 99},
		{"terminated", func() error {
			_, err := l.ec2.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{id}})
			return err
		}, 3 * time.Hour, 21, 99},
	} {
		if step.do != nil {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
		}
		l.clock.Advance(step.after)
		if billed, held := used(); billed != step.billed || held != step.held {
			t.Errorf("%s: got billed %v s and held %v s, want %v s and %v s", step.name, billed, held, step.billed, step.held)
		}
	}
}

// An account can have opted in to every region.
func TestOptIn(t *testing.T) {
	for optIn, least := range map[bool]int{false: 17, true: 34} {
		s := New(Config{OptIn: optIn})
		out, err := sdk.NewFromConfig(s.AWSConfig("us-east-1")).DescribeRegions(t.Context(), &sdk.DescribeRegionsInput{})
		if err != nil || len(out.Regions) < least {
			t.Fatalf("opted in %t: got %v and %d regions, want %d", optIn, err, len(out.Regions), least)
		}
		_, err = sdk.NewFromConfig(s.AWSConfig("af-south-1")).DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{
			Filters: []types.Filter{},
		})
		if (err == nil) != optIn {
			t.Errorf("opted in %t: af-south-1: got %v", optIn, err)
		}
	}
}
