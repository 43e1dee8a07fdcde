// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// groupLab is a lab with a group of 2 units on demand and 4 on spot, each instance of
// which has a weight of 2.
type groupLab struct{ *rolloutLab }

func newGroupLab(t *testing.T) *groupLab {
	l := &groupLab{newRolloutLab(t)}
	made := must[*sdk.CreateLaunchTemplateOutput](l.lab)(l.ec2.CreateLaunchTemplate(t.Context(), &sdk.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("miner"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(l.source()), InstanceType: "g4dn.xlarge"},
	})).LaunchTemplate
	p := query.Params{
		"AutoScalingGroupName": "miners", "MinSize": "0", "MaxSize": "8", "DesiredCapacity": "6", "CapacityRebalance": "true",
		"AvailabilityZones.1": "eu-central-1a", "AvailabilityZones.2": "eu-central-1b",
		"MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId": *made.LaunchTemplateId, "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version": "$Latest",
		"MixedInstancesPolicy.LaunchTemplate.Overrides.1.InstanceType": "g4dn.xlarge", "MixedInstancesPolicy.LaunchTemplate.Overrides.1.WeightedCapacity": "2",
		"MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity": "2", "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity": "0",
	}
	l.server.AddFault(Fault{Action: "RunInstances", Where: map[string]string{"InstanceMarketOptions.MarketType": "spot", "Placement.AvailabilityZone": "eu-central-1b"}, Code: "InsufficientInstanceCapacity"})
	must[struct{}](l.lab)(struct{}{}, l.call("CreateAutoScalingGroup", p, nil))
	return l
}

func (l *groupLab) call(action string, p query.Params, out any) error {
	body, err := l.server.serve(scope{region: "eu-central-1", service: "autoscaling"}, action, p)
	if err != nil || out == nil {
		return err
	}
	return query.Decode(body, out)
}

// instances returns the instances of the group in some states, such as "running spot".
func (l *groupLab) instances() map[string][]string {
	l.Helper()
	out := must[*sdk.DescribeInstancesOutput](l.lab)(l.ec2.DescribeInstances(l.Context(), &sdk.DescribeInstancesInput{
		Filters: []types.Filter{{Name: aws.String("tag:aws:autoscaling:groupName"), Values: []string{"miners"}}},
	}))
	all := map[string][]string{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			key := strings.TrimSpace(string(i.State.Name) + " " + string(i.InstanceLifecycle))
			all[key] = append(all[key], *i.InstanceId)
		}
	}
	return all
}

func (l *groupLab) wait(d time.Duration) {
	for range d / (5 * time.Second) {
		l.clock.Advance(5 * time.Second)
		l.instances()
	}
}

func (l *groupLab) causes() string {
	var out struct {
		Activities []struct{ Cause, StatusCode, StatusMessage string } `xml:"Activities>member"`
	}
	must[struct{}](l.lab)(struct{}{}, l.call("DescribeScalingActivities", query.Params{"AutoScalingGroupName": "miners"}, &out))
	return fmt.Sprint(out.Activities)
}

// Without capacity for spot in one zone, the group launches in the other one, and its
// on-demand base does not wait.
func TestMixedGroup(t *testing.T) {
	l := newGroupLab(t)
	l.wait(30 * time.Second)
	all := l.instances()
	l.want("on demand", len(all["running"]), 1)
	l.want("spot", len(all["running spot"]), 2)

	// Spot ends everywhere, and the base stays.
	l.server.AddFault(Fault{Action: "RunInstances", Where: map[string]string{"InstanceMarketOptions.MarketType": "spot"}, Code: "InsufficientInstanceCapacity"})
	l.server.AddFault(Fault{Reclaim: "*", Region: "eu-central-1"})
	l.wait(30 * time.Second)
	all = l.instances()
	l.want("on demand", len(all["running"]), 1)
	l.want("spot", len(all["running spot"]), 0)
	for _, want := range []string{"Could not launch Spot Instances. InsufficientInstanceCapacity - ", "EC2 health check indicating it has been terminated or stopped"} {
		if got := l.causes(); !strings.Contains(got, want) {
			t.Errorf("got activities %s, want %q", got, want)
		}
	}
	l.server.ClearFaults()
	l.wait(30 * time.Second)
	l.want("spot again", len(l.instances()["running spot"]), 2)
}

// A group with capacity rebalancing launches the replacement first.
func TestCapacityRebalance(t *testing.T) {
	for _, fault := range []Fault{{Rebalance: "*", Region: "eu-central-1"}, {Reclaim: "*", Notice: "2m", Region: "eu-central-1"}} {
		l := newGroupLab(t)
		l.wait(30 * time.Second)
		before := l.instances()["running spot"]
		l.server.AddFault(fault)
		least, most := 9, 0
		for range 12 {
			l.wait(5 * time.Second)
			all := l.instances()
			n := len(all["running spot"])
			least, most = min(least, n), max(most, n+len(all["pending spot"]))
		}
		l.want("spot at least", least, 2)
		l.want("spot with replacements", most, 4)
		after := l.instances()["running spot"]
		for _, id := range before {
			if strings.Contains(fmt.Sprint(after), id) {
				t.Errorf("%+v: %s still runs", fault, id)
			}
		}
		l.want("spot", len(after), 2)
	}
}

// Instances have credentials of their role for the services that a fleet uses.
func TestInstanceRoleServices(t *testing.T) {
	l := newRolloutLab(t)
	l.create(map[string]string{"Size": "1", "Count": "1"})
	l.after(30 * time.Second)
	id := l.running()["g4dn.xlarge"][0]
	role := l.server.instanceRole(l.server.own, "arn:aws:iam::111122223333:instance-profile/miner", id)
	config := l.server.AWSConfig("eu-central-1")
	config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: role.AccessKey, SecretAccessKey: role.SecretKey, SessionToken: role.Token}, nil
	})
	l.cfn = cfn.NewFromConfig(config)
	must[struct{}](l.lab)(struct{}{}, l.signal(id, "SUCCESS"))
	l.want("after the signal", l.after(time.Second), "CREATE_COMPLETE")
	at := scope{region: "eu-central-1", service: "autoscaling", role: l.server.roles[role.AccessKey]}
	if _, err := l.server.serve(at, "SetInstanceHealth", query.Params{"InstanceId": id, "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": "false"}); err != nil {
		t.Error(err)
	}
	at.service = "monitoring"
	if _, err := l.server.serve(at, "PutMetricData", query.Params{"Namespace": "Mining", "MetricData.1.MetricName": "HashRate", "MetricData.1.Value": "42"}); err != nil {
		t.Error(err)
	}
	own := scope{region: "eu-central-1", service: "monitoring"}
	body, err := l.server.serve(own, "ListMetrics", query.Params{})
	if err != nil || !strings.Contains(fmt.Sprintf("%+v", body), "HashRate") {
		t.Errorf("got metrics %+v, error %v", body, err)
	}
	l.after(time.Minute)
	if strings.Contains(fmt.Sprint(l.running()), id) {
		t.Error("the unhealthy instance was not replaced")
	}
	l.want("instances", len(l.running()["g4dn.xlarge"]), 1)
}

// The example of this repository creates, updates and deletes its stack.
func TestExampleStack(t *testing.T) {
	l := newRolloutLab(t)
	text, err := os.ReadFile("../../example/eth-mining-cfn.template")
	if err != nil {
		t.Fatal(err)
	}
	body := regexp.MustCompile(`ami-[0-9a-f]{8,17}`).ReplaceAllString(string(text), l.source())
	zones := must[*sdk.DescribeSubnetsOutput](l.lab)(l.ec2.DescribeSubnets(t.Context(), &sdk.DescribeSubnetsInput{}))
	values := map[string]string{
		"Pools": "stratum1+ssl://pool.example.com:4444", "Vpc": *zones.Subnets[0].VpcId, "Subnets": *zones.Subnets[0].SubnetId + "," + *zones.Subnets[1].SubnetId,
		"OnDemandInstances": "2", "SpotCapacity": "6",
	}
	capabilities := []cfntypes.Capability{cfntypes.CapabilityCapabilityIam}
	must[*cfn.CreateStackOutput](l.lab)(l.cfn.CreateStack(t.Context(), &cfn.CreateStackInput{StackName: aws.String("fleet"), TemplateBody: &body, Parameters: parameters(values), Capabilities: capabilities}))
	l.want("before the signals", l.after(30*time.Second), "CREATE_IN_PROGRESS")
	onDemand := l.running()["g4dn.xlarge"]
	l.want("instances before the signals", len(onDemand), 2) // the spot instances come later
	for _, id := range onDemand {
		must[*cfn.SignalResourceOutput](l.lab)(l.cfn.SignalResource(t.Context(), &cfn.SignalResourceInput{
			StackName: aws.String("fleet"), LogicalResourceId: aws.String("OnDemandMiners"), UniqueId: &id, Status: cfntypes.ResourceSignalStatusSuccess,
		}))
	}
	l.want("created", l.after(time.Minute), "CREATE_COMPLETE")
	all := l.running()
	l.want("instances", len(all["g4dn.xlarge"])+len(all["g4dn.2xlarge"]), 4) // two spot instances of weight 3
	values["MaxRejectedShares"] = "10"
	must[*cfn.UpdateStackOutput](l.lab)(l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("fleet"), TemplateBody: &body, Parameters: parameters(values), Capabilities: capabilities}))
	l.want("updated", l.after(30*time.Second), "UPDATE_COMPLETE")
	l.want("instances after an update of an alarm", fmt.Sprint(l.running()), fmt.Sprint(all))
	must[*cfn.DeleteStackOutput](l.lab)(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("fleet")}))
	left := l.server.Inventory()
	for n := 0; n < 20 && len(left) > 0; n++ { // one group ends after the other
		l.clock.Advance(10 * time.Second)
		_, _ = l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{}) // lets the deletion go on
		left = l.server.Inventory()
	}
	if len(left) > 0 {
		t.Errorf("resources left: %v", left)
	}
}
