// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

const networkTemplate = `
Resources:
  Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: first}}
  Id: {Type: AWS::SSM::Parameter, DeletionPolicy: Delete, Properties: {Name: /group, Type: String, Value: !Ref Group}}
`

// change creates or updates the stack, and returns its status at the end.
func (l *rolloutLab) change(body string, options ...func(*cfn.CreateStackInput)) string {
	l.Helper()
	in := &cfn.CreateStackInput{StackName: aws.String("fleet"), TemplateBody: &body}
	for _, o := range options {
		o(in)
	}
	_, err := l.cfn.CreateStack(l.Context(), in)
	if err != nil && strings.Contains(err.Error(), "AlreadyExistsException") {
		_, err = l.cfn.UpdateStack(l.Context(), &cfn.UpdateStackInput{StackName: in.StackName, TemplateBody: &body})
	}
	must[struct{}](l.lab)(struct{}{}, err)
	return l.after(2 * time.Minute)
}

func (l *rolloutLab) physical(id string) string {
	l.Helper()
	return *must[*cfn.DescribeStackResourceOutput](l.lab)(l.cfn.DescribeStackResource(l.Context(), &cfn.DescribeStackResourceInput{StackName: aws.String("fleet"), LogicalResourceId: &id})).StackResourceDetail.PhysicalResourceId
}

// kinds returns how many resources of each kind exist.
func (l *rolloutLab) kinds() map[string]int {
	kinds := map[string]int{}
	for _, r := range l.server.Inventory()["eu-central-1"] {
		kinds[r.Kind]++
	}
	return kinds
}

// A change of a property that cannot change replaces the resource, before the old one is
// deleted. A failed update returns to the old one.
func TestReplacedResources(t *testing.T) {
	l := newRolloutLab(t)
	l.want("created", l.change(networkTemplate), "CREATE_COMPLETE")
	first := l.physical("Group")
	second := strings.Replace(networkTemplate, "first", "second", 1)
	l.want("failing", l.change(strings.Replace(second, "Type: String, Value", "Type: Unknown, Value", 1)), "UPDATE_ROLLBACK_COMPLETE")
	l.want("group after the roll back", l.physical("Group"), first)
	l.want("resources", l.kinds(), map[string]int{"parameter": 1, "security-group": 1, "stack": 1})
	l.want("replaced", l.change(second), "UPDATE_COMPLETE")
	if l.physical("Group") == first {
		t.Error("the group was not replaced")
	}
	l.want("resources", l.kinds(), map[string]int{"parameter": 1, "security-group": 1, "stack": 1})
	value, err := l.server.own.parameter("eu-central-1", "/group")
	if err != nil || value != l.physical("Group") {
		t.Errorf("got the parameter %s, %v", value, err)
	}
	l.want("removed", l.change("Resources: {Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: second}}}"), "UPDATE_COMPLETE")
	l.want("resources", l.kinds(), map[string]int{"security-group": 1, "stack": 1})
}

func TestOnFailure(t *testing.T) {
	broken := strings.Replace(networkTemplate, "Type: String", "Type: Unknown", 1)
	for option, want := range map[types.OnFailure]struct {
		status string
		kinds  map[string]int
	}{
		types.OnFailureRollback:  {"ROLLBACK_COMPLETE", map[string]int{"stack": 1}},
		types.OnFailureDoNothing: {"CREATE_FAILED", map[string]int{"security-group": 1, "stack": 1}},
		types.OnFailureDelete:    {"", map[string]int{}},
	} {
		t.Run(string(option), func(t *testing.T) {
			l := newRolloutLab(t)
			out := must[*cfn.CreateStackOutput](l.lab)(l.cfn.CreateStack(t.Context(), &cfn.CreateStackInput{StackName: aws.String("fleet"), TemplateBody: &broken, OnFailure: option}))
			l.clock.Advance(time.Minute)
			l.want("resources", l.kinds(), want.kinds)
			if want.status != "" {
				l.want("status", l.after(time.Second), want.status)
			}
			must[*cfn.DeleteStackOutput](l.lab)(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("fleet")}))
			l.clock.Advance(time.Minute)
			l.want("resources after the deletion", l.kinds(), map[string]int{})
			gone := must[*cfn.DescribeStacksOutput](l.lab)(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: out.StackId})).Stacks[0]
			l.want("status at the end", gone.StackStatus, "DELETE_COMPLETE")
		})
	}
}

// A resource with DeletionPolicy Retain outlives its stack.
func TestRetainedResource(t *testing.T) {
	l := newRolloutLab(t)
	l.want("created", l.change(strings.Replace(networkTemplate, "DeletionPolicy: Delete", "DeletionPolicy: Retain", 1)), "CREATE_COMPLETE")
	must[*cfn.DeleteStackOutput](l.lab)(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("fleet")}))
	l.clock.Advance(time.Minute)
	l.want("resources", l.kinds(), map[string]int{"parameter": 1})
}

// A replacing update creates another group, and deletes the old one when the instances of
// the new one have signalled.
func TestReplacingUpdate(t *testing.T) {
	l := newRolloutLab(t)
	body := strings.Replace(fleetTemplate, "AutoScalingRollingUpdate: {MinInstancesInService: 3, MaxBatchSize: 2, PauseTime: PT5M, WaitOnResourceSignals: true, SuspendProcesses: [ReplaceUnhealthy]}", "AutoScalingReplacingUpdate: {WillReplace: true}", 1)
	body = strings.Replace(body, "Type: 'AWS::EC2::Image::Id'", "Type: String, Default: "+l.source(), 1)
	l.want("creating", l.change(body), "CREATE_IN_PROGRESS")
	signal := func(kind string) {
		for _, id := range l.running()[kind][:2] {
			must[struct{}](l.lab)(struct{}{}, l.signal(id, "SUCCESS"))
		}
	}
	signal("g4dn.xlarge")
	l.want("created", l.after(time.Minute), "CREATE_COMPLETE")
	first := l.physical("Miners")
	l.want("updating", l.change(strings.Replace(body, "Default: g4dn.xlarge", "Default: g5.xlarge", 1)), "UPDATE_IN_PROGRESS")
	l.want("old instances", len(l.running()["g4dn.xlarge"]), 4)
	signal("g5.xlarge")
	l.want("updated", l.after(time.Minute), "UPDATE_COMPLETE")
	if l.physical("Miners") == first {
		t.Error("the group was not replaced")
	}
	l.want("instances", len(l.running()["g5.xlarge"]), 4)
	l.want("old instances", len(l.running()["g4dn.xlarge"]), 0)
}

// New resources are not found at first: neither the creation nor the roll back of a stack
// loses one.
func TestNewResources(t *testing.T) {
	l := newRolloutLab(t)
	l.server = New(Config{Clock: l.clock, Pace: pace.Profile{NotFound: 2 * time.Second, Stack: time.Second}, Seed: "lab"})
	l.cfn = cfn.NewFromConfig(l.server.AWSConfig("eu-central-1"))
	l.ec2 = l.in("eu-central-1")
	for body, want := range map[string]struct {
		status string
		kinds  map[string]int
	}{
		signalTemplate: {"CREATE_IN_PROGRESS", map[string]int{"auto-scaling-group": 1, "instance": 1, "launch-template": 1, "stack": 1, "volume": 1}},
		strings.Replace(signalTemplate, "MinSize: 1", "MinSize: 2", 1): {"ROLLBACK_COMPLETE", map[string]int{"stack": 1}},
	} {
		values := parameters(map[string]string{"Image": l.source(), "Endpoint": "http://127.0.0.1"})
		status := l.change(body, func(in *cfn.CreateStackInput) {
			in.Parameters, in.Capabilities = values, []types.Capability{types.CapabilityCapabilityIam}
		})
		l.want("status", status, want.status)
		l.want("resources", l.kinds(), want.kinds)
		must[*cfn.DeleteStackOutput](l.lab)(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("fleet")}))
		l.clock.Advance(time.Minute)
		l.clock.Advance(time.Minute)
		l.want("resources at the end", l.server.Inventory(), map[string]int{})
	}
}
