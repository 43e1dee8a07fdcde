// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// fakeHost is a host whose machines only record their calls.
type fakeHost struct {
	mu         sync.Mutex
	startError error
	machines   map[string]*fakeMachine
	layers     []string
}

type fakeMachine struct {
	fakeHost *fakeHost
	spec     instance.Spec
	calls    []string
	off      chan struct{}
}

func (y *fakeHost) Port() int    { return 22 }
func (y *fakeHost) Close() error { return nil }

func (y *fakeHost) Start(_ context.Context, spec instance.Spec) (instance.Machine, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.startError != nil {
		return nil, y.startError
	}
	m := &fakeMachine{fakeHost: y, spec: spec, off: make(chan struct{})}
	y.machines[spec.ID] = m
	return m, nil
}

func (y *fakeHost) Drop(layer string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.layers = slices.DeleteFunc(y.layers, func(l string) bool { return l == layer })
	return nil
}

func (m *fakeMachine) note(what string) error {
	m.fakeHost.mu.Lock()
	defer m.fakeHost.mu.Unlock()
	m.calls = append(m.calls, what)
	return nil
}

func (m *fakeMachine) Stop(context.Context) error      { return m.note("stop") }
func (m *fakeMachine) Boot(context.Context) error      { return m.note("boot") }
func (m *fakeMachine) Reboot(context.Context) error    { return m.note("reboot") }
func (m *fakeMachine) Terminate(context.Context) error { return m.note("terminate") }
func (m *fakeMachine) Console() string                 { return "" }
func (m *fakeMachine) Off() <-chan struct{}            { return m.off }

func (m *fakeMachine) Capture(_ context.Context, layer string) error {
	m.fakeHost.mu.Lock()
	m.fakeHost.layers = append(m.fakeHost.layers, layer)
	m.fakeHost.mu.Unlock()
	return m.note("capture")
}

func newFakeHost(t *testing.T) (*fakeHost, *lab) {
	t.Helper()
	y := &fakeHost{machines: map[string]*fakeMachine{}}
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Host: y, Seed: "yard"})}
	l.ec2 = l.in("eu-central-1")
	return y, l
}

// becomes waits for a condition that depends on a machine.
func (l *lab) becomes(what string, holds func() bool) {
	l.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.Fatalf("timed out waiting for: %s", what)
}

func (l *lab) is(id, state string) func() bool { return func() bool { return l.state(id) == state } }

func TestImageLayers(t *testing.T) {
	y, l := newFakeHost(t)
	key := must[*sdk.CreateKeyPairOutput](l)(l.ec2.CreateKeyPair(t.Context(), &sdk.CreateKeyPairInput{KeyName: aws.String("k"), KeyType: types.KeyTypeEd25519}))
	source := l.source()
	launch := func(image string) string {
		out := must[*sdk.RunInstancesOutput](l)(l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{
			ImageId: &image, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), KeyName: key.KeyName,
		}))
		return *out.Instances[0].InstanceId
	}
	first := launch(source)
	l.becomes("running", l.is(first, "running"))
	spec := y.machines[first].spec
	if spec.User != "ubuntu" || spec.Layer != "" || len(spec.AuthorizedKeys) == 0 || spec.Address != "127.77.0.1" {
		t.Errorf("the machine started with %+v", spec)
	}
	img := *must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(t.Context(), &sdk.CreateImageInput{InstanceId: &first, Name: aws.String("baked")})).ImageId
	l.becomes("available", func() bool { return l.image("eu-central-1", img).State == types.ImageStateAvailable })
	if calls := y.machines[first].calls; !slices.Equal(calls, []string{"stop", "capture", "boot"}) {
		t.Errorf("CreateImage called %v", calls)
	}
	if l.state(first) != "running" {
		t.Error("the instance does not run after CreateImage")
	}
	second := launch(img)
	l.becomes("running", l.is(second, "running"))
	if layer := y.machines[second].spec.Layer; !slices.Equal(y.layers, []string{layer}) {
		t.Errorf("the machine of the image has layer %q, host has %v", layer, y.layers)
	}
	must[*sdk.TerminateInstancesOutput](l)(l.ec2.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{first, second}}))
	l.becomes("terminated", func() bool { return l.is(first, "terminated")() && l.is(second, "terminated")() })
	snap := l.image("eu-central-1", img).BlockDeviceMappings[0].Ebs.SnapshotId
	must[*sdk.DeregisterImageOutput](l)(l.ec2.DeregisterImage(t.Context(), &sdk.DeregisterImageInput{ImageId: &img}))
	must[*sdk.DeleteSnapshotOutput](l)(l.ec2.DeleteSnapshot(t.Context(), &sdk.DeleteSnapshotInput{SnapshotId: snap}))
	l.becomes("the layer is dropped", func() bool {
		y.mu.Lock()
		defer y.mu.Unlock()
		return len(y.layers) == 0
	})
}

func TestMachinePowersOff(t *testing.T) {
	spot := &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	for name, test := range map[string]struct {
		behaviour types.ShutdownBehavior
		market    *types.InstanceMarketOptionsRequest
		want      string
	}{
		"stop":          {"stop", nil, "stopped"},
		"terminate":     {"terminate", nil, "terminated"},
		"default":       {"", nil, "stopped"},
		"spot instance": {"", spot, "terminated"}, // a one-time spot instance cannot stop
	} {
		t.Run(name, func(t *testing.T) {
			y, l := newFakeHost(t)
			source := l.source()
			out := must[*sdk.RunInstancesOutput](l)(l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{
				ImageId: &source, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
				InstanceInitiatedShutdownBehavior: test.behaviour, InstanceMarketOptions: test.market,
			}))
			id := *out.Instances[0].InstanceId
			l.becomes("running", l.is(id, "running"))
			close(y.machines[id].off)
			l.becomes(test.want, l.is(id, test.want))
		})
	}
}

func TestMachineStartFails(t *testing.T) {
	y, l := newFakeHost(t)
	y.startError = errors.New("no capacity")
	id := l.run()
	l.becomes("terminated", l.is(id, "terminated"))
	out := must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: []string{id}}))
	if reason := out.Reservations[0].Instances[0].StateReason; *reason.Code != "Server.InternalError" || *reason.Message != "Server.InternalError: no capacity" {
		t.Errorf("got reason %s: %s", *reason.Code, *reason.Message)
	}
	if left := l.server.Inventory(); len(left) != 0 {
		t.Errorf("resources left: %v", left)
	}
}
