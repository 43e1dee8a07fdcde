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

// yard is a host whose machines only remember what was done to them.
type yard struct {
	mu       sync.Mutex
	refuse   error
	machines map[string]*toy
	layers   []string
}

type toy struct {
	yard *yard
	spec instance.Spec
	did  []string
	off  chan struct{}
}

func (y *yard) Port() int    { return 22 }
func (y *yard) Close() error { return nil }

func (y *yard) Start(_ context.Context, spec instance.Spec) (instance.Machine, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.refuse != nil {
		return nil, y.refuse
	}
	m := &toy{yard: y, spec: spec, off: make(chan struct{})}
	y.machines[spec.ID] = m
	return m, nil
}

func (y *yard) Drop(layer string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.layers = slices.DeleteFunc(y.layers, func(l string) bool { return l == layer })
	return nil
}

func (m *toy) note(what string) error {
	m.yard.mu.Lock()
	defer m.yard.mu.Unlock()
	m.did = append(m.did, what)
	return nil
}

func (m *toy) Stop(context.Context) error      { return m.note("stop") }
func (m *toy) Boot(context.Context) error      { return m.note("boot") }
func (m *toy) Reboot(context.Context) error    { return m.note("reboot") }
func (m *toy) Terminate(context.Context) error { return m.note("terminate") }
func (m *toy) Off() <-chan struct{}            { return m.off }

func (m *toy) Capture(_ context.Context, layer string) error {
	m.yard.mu.Lock()
	m.yard.layers = append(m.yard.layers, layer)
	m.yard.mu.Unlock()
	return m.note("capture")
}

func newYard(t *testing.T) (*yard, *lab) {
	t.Helper()
	y := &yard{machines: map[string]*toy{}}
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Host: y, Seed: "yard"})}
	l.ec2 = l.in("eu-central-1")
	return y, l
}

// becomes waits until a condition that a machine brings about holds.
func (l *lab) becomes(what string, holds func() bool) {
	l.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.Fatalf("never: %s", what)
}

func (l *lab) is(id, state string) func() bool { return func() bool { return l.state(id) == state } }

func TestMachinesOfAnImage(t *testing.T) {
	y, l := newYard(t)
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
		t.Errorf("the machine was started with %+v", spec)
	}
	img := *must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(t.Context(), &sdk.CreateImageInput{InstanceId: &first, Name: aws.String("baked")})).ImageId
	l.becomes("available", func() bool { return l.image("eu-central-1", img).State == types.ImageStateAvailable })
	if did := y.machines[first].did; !slices.Equal(did, []string{"stop", "capture", "boot"}) {
		t.Errorf("imaging did %v", did)
	}
	if l.state(first) != "running" {
		t.Error("the instance does not run on")
	}
	second := launch(img)
	l.becomes("running", l.is(second, "running"))
	if layer := y.machines[second].spec.Layer; !slices.Equal(y.layers, []string{layer}) {
		t.Errorf("the image's machine has layer %q of %v", layer, y.layers)
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

func TestMachineThatPowersItselfOff(t *testing.T) {
	spot := &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	for name, test := range map[string]struct {
		behaviour types.ShutdownBehavior
		market    *types.InstanceMarketOptionsRequest
		want      string
	}{
		"stop":            {"stop", nil, "stopped"},
		"terminate":       {"terminate", nil, "terminated"},
		"by default":      {"", nil, "stopped"},
		"a spot instance": {"", spot, "terminated"}, // one-time: it cannot be stopped
	} {
		t.Run(name, func(t *testing.T) {
			y, l := newYard(t)
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

func TestMachineThatDoesNotStart(t *testing.T) {
	y, l := newYard(t)
	y.refuse = errors.New("no room")
	id := l.run()
	l.becomes("terminated", l.is(id, "terminated"))
	out := must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: []string{id}}))
	if reason := out.Reservations[0].Instances[0].StateReason; *reason.Code != "Server.InternalError" || *reason.Message != "Server.InternalError: no room" {
		t.Errorf("the reason is %s: %s", *reason.Code, *reason.Message)
	}
	if left := l.server.Inventory(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
