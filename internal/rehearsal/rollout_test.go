// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// fleetTemplate is a group with a launch template, a CreationPolicy for two signals, and
// an UpdatePolicy.
const fleetTemplate = `
Parameters:
  Image: {Type: 'AWS::EC2::Image::Id'}
  Type: {Type: String, Default: g4dn.xlarge}
  Size: {Type: Number, Default: 4}
  Count: {Type: Number, Default: 2}
Resources:
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: !Ref Image, InstanceType: !Ref Type}}
  Miners:
    Type: AWS::AutoScaling::AutoScalingGroup
    CreationPolicy: {ResourceSignal: {Count: !Ref Count, Timeout: PT10M}}
    UpdatePolicy:
      AutoScalingRollingUpdate: {MinInstancesInService: 3, MaxBatchSize: 2, PauseTime: PT5M, WaitOnResourceSignals: true, SuspendProcesses: [ReplaceUnhealthy]}
    Properties:
      MinSize: 0
      MaxSize: 6
      DesiredCapacity: !Ref Size
      AvailabilityZones: !GetAZs ''
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
Outputs:
  Group: {Value: !Ref Miners}
`

// signalTemplate is a group of one instance, which sends a metric and a signal with the
// credentials of its role. curl signs the requests.
const signalTemplate = `
Parameters: {Image: {Type: String}, Endpoint: {Type: String}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: 'sts:AssumeRole'}]}}
  Profile: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [!Ref Role]}}
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        ImageId: !Ref Image
        InstanceType: g4dn.xlarge
        IamInstanceProfile: {Arn: !GetAtt Profile.Arn}
        MetadataOptions: {HttpTokens: required}
        UserData:
          Fn::Base64: !Sub |
            #!/bin/sh
            set -eu
            token=$(curl -sfX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
            get() { curl -sf -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"; }
            id=$(get instance-id)
            keys=$(get "iam/security-credentials/$(get iam/security-credentials/)")
            key() { printf %s "$keys" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
            call() {
              service=$1
              shift
              curl -sS --aws-sigv4 "aws:amz:${AWS::Region}:$service" -u "$(key AccessKeyId):$(key SecretAccessKey)" -H "X-Amz-Security-Token: $(key Token)" "$@" ${Endpoint}
            }
            call monitoring -d "Action=PutMetricData&Version=2010-08-01&Namespace=Mining&MetricData.member.1.MetricName=HashRate&MetricData.member.1.Value=42&MetricData.member.1.Dimensions.member.1.Name=InstanceId&MetricData.member.1.Dimensions.member.1.Value=$id"
            call cloudformation -d "Action=SignalResource&Version=2010-05-15&StackName=${AWS::StackName}&LogicalResourceId=Miners&UniqueId=$id&Status=SUCCESS"
            call autoscaling -d "Action=SetInstanceHealth&Version=2011-01-01&InstanceId=$id&HealthStatus=Healthy"
  Miners:
    Type: AWS::AutoScaling::AutoScalingGroup
    CreationPolicy: {ResourceSignal: {Timeout: PT3M}}
    Properties:
      MinSize: 1
      MaxSize: 1
      AvailabilityZones: !GetAZs ''
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
`

// rolloutLab is a lab with stacks in eu-central-1, whose instances run after 10 s.
type rolloutLab struct {
	*lab
	cfn *cfn.Client
}

func newRolloutLab(t *testing.T) *rolloutLab {
	l := &rolloutLab{lab: newLab(t, "instant,running=10s,terminated=5s,stack=2s")}
	l.cfn = cfn.NewFromConfig(l.server.AWSConfig("eu-central-1"), func(o *cfn.Options) { o.RetryMaxAttempts = 1 })
	return l
}

func parameters(values map[string]string) (list []types.Parameter) {
	for key, value := range values {
		list = append(list, types.Parameter{ParameterKey: aws.String(key), ParameterValue: aws.String(value)})
	}
	return list
}

func (l *rolloutLab) create(values map[string]string) {
	l.Helper()
	values["Image"] = l.source()
	must[*cfn.CreateStackOutput](l.lab)(l.cfn.CreateStack(l.Context(), &cfn.CreateStackInput{StackName: aws.String("fleet"), TemplateBody: aws.String(fleetTemplate), Parameters: parameters(values)}))
}

func (l *rolloutLab) update(values map[string]string) {
	l.Helper()
	values["Image"] = l.source()
	must[*cfn.UpdateStackOutput](l.lab)(l.cfn.UpdateStack(l.Context(), &cfn.UpdateStackInput{StackName: aws.String("fleet"), TemplateBody: aws.String(fleetTemplate), Parameters: parameters(values)}))
}

// after advances the clock and returns the status of the stack.
func (l *rolloutLab) after(d time.Duration) string {
	l.Helper()
	for range max(1, int(d/(5*time.Second))) {
		l.clock.Advance(min(d, 5*time.Second))
		must[*cfn.DescribeStacksOutput](l.lab)(l.cfn.DescribeStacks(l.Context(), &cfn.DescribeStacksInput{}))
	}
	return string(must[*cfn.DescribeStacksOutput](l.lab)(l.cfn.DescribeStacks(l.Context(), &cfn.DescribeStacksInput{StackName: aws.String("fleet")})).Stacks[0].StackStatus)
}

func (l *rolloutLab) signal(id, status string) error {
	_, err := l.cfn.SignalResource(l.Context(), &cfn.SignalResourceInput{
		StackName: aws.String("fleet"), LogicalResourceId: aws.String("Miners"), UniqueId: &id, Status: types.ResourceSignalStatus(status),
	})
	return err
}

// running returns the ids of the running instances by type.
func (l *rolloutLab) running() map[string][]string {
	l.Helper()
	out := must[*sdk.DescribeInstancesOutput](l.lab)(l.ec2.DescribeInstances(l.Context(), &sdk.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"running"}}},
	}))
	all := map[string][]string{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			all[string(i.InstanceType)] = append(all[string(i.InstanceType)], *i.InstanceId)
		}
	}
	return all
}

// reasons returns the reasons of the group's events, oldest first, with * for ids.
func (l *rolloutLab) reasons() (list []string) {
	l.Helper()
	out := must[*cfn.DescribeStackEventsOutput](l.lab)(l.cfn.DescribeStackEvents(l.Context(), &cfn.DescribeStackEventsInput{StackName: aws.String("fleet")}))
	for _, e := range slices.Backward(out.StackEvents) {
		if reason := aws.ToString(e.ResourceStatusReason); *e.LogicalResourceId == "Miners" && reason != "" {
			words := strings.Fields(reason)
			for i, word := range words {
				if strings.Contains(word, "i-") && strings.ContainsAny(word, "0123456789") {
					words[i] = fmt.Sprintf("*%d", strings.Count(word, "i-"))
				}
			}
			list = append(list, strings.Join(words, " "))
		}
	}
	return list
}

func (l *rolloutLab) want(what string, got any, want any) {
	l.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		l.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// createdFleet creates a stack with four instances, and has two of them signal.
func (l *rolloutLab) createdFleet() {
	l.Helper()
	l.create(map[string]string{})
	l.want("before the signals", l.after(time.Minute), "CREATE_IN_PROGRESS")
	for _, id := range l.running()["g4dn.xlarge"][:2] {
		must[struct{}](l.lab)(struct{}{}, l.signal(id, "SUCCESS"))
	}
	l.want("after the signals", l.after(time.Second), "CREATE_COMPLETE")
}

func TestCreationPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		signals []string
		wait    time.Duration
		status  string
		reason  string
	}{
		"enough":        {[]string{"SUCCESS", "SUCCESS"}, time.Second, "CREATE_COMPLETE", "Received SUCCESS signal with UniqueId *1"},
		"too few":       {[]string{"SUCCESS"}, 11 * time.Minute, "ROLLBACK_COMPLETE", "Received 1 SUCCESS signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"},
		"none":          {nil, 11 * time.Minute, "ROLLBACK_COMPLETE", "Received 0 SUCCESS signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"},
		"a failure":     {[]string{"FAILURE"}, 15 * time.Second, "ROLLBACK_COMPLETE", "Received 1 FAILURE signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"},
		"not yet":       {[]string{"SUCCESS"}, 8 * time.Minute, "CREATE_IN_PROGRESS", "Received SUCCESS signal with UniqueId *1"},
		"failure later": {[]string{"SUCCESS", "FAILURE"}, 15 * time.Second, "ROLLBACK_COMPLETE", "Received 1 FAILURE signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newRolloutLab(t)
			l.create(map[string]string{})
			l.want("status", l.after(time.Minute), "CREATE_IN_PROGRESS")
			ids := l.running()["g4dn.xlarge"]
			l.want("instances", len(ids), 4)
			for i, status := range test.signals {
				must[struct{}](l.lab)(struct{}{}, l.signal(ids[i], status))
			}
			l.want("status", l.after(test.wait), test.status)
			if list := l.reasons(); !slices.Contains(list, test.reason) {
				t.Errorf("got events %q, want %q", list, test.reason)
			}
			if test.status == "ROLLBACK_COMPLETE" {
				l.want("instances left", len(l.running()), 0)
				for _, r := range l.server.Inventory()["eu-central-1"] {
					if r.Kind != "stack" {
						t.Errorf("left %s %s", r.Kind, r.ID)
					}
				}
			}
		})
	}
	l := newRolloutLab(t)
	l.create(map[string]string{"Count": "0"})
	l.want("without signals", l.after(5*time.Second), "CREATE_COMPLETE")
}

// A rolling update replaces the instances in batches, and keeps three in service.
func TestRollingUpdate(t *testing.T) {
	l := newRolloutLab(t)
	l.createdFleet()
	l.update(map[string]string{"Type": "g5.xlarge"})
	least, signalled := 9, map[string]bool{}
	status := ""
	for range 60 {
		status = l.after(5 * time.Second)
		all := l.running()
		least = min(least, len(all["g4dn.xlarge"])+len(all["g5.xlarge"]))
		for _, id := range all["g5.xlarge"] {
			if !signalled[id] {
				signalled[id] = true
				must[struct{}](l.lab)(struct{}{}, l.signal(id, "SUCCESS"))
			}
		}
		if status == "UPDATE_COMPLETE" {
			break
		}
	}
	l.want("status", status, "UPDATE_COMPLETE")
	l.after(time.Minute)
	l.want("types", len(l.running()["g5.xlarge"]), 4)
	l.want("old ones", len(l.running()["g4dn.xlarge"]), 0)
	l.want("least in service", least, 3)
	want := []string{
		"Rolling update initiated. Terminating 4 obsolete instance(s) in batches of 2, while keeping at least 3 instance(s) in service. Waiting on resource signals with a timeout of PT5M when new instances are added to the autoscaling group.",
		"Temporarily setting autoscaling group MinSize and DesiredCapacity to 5.",
		"New instance(s) added to autoscaling group - Waiting on 1 resource signal(s) with a timeout of PT5M.",
		"Received SUCCESS signal with UniqueId *1",
		"Terminating instance(s) *2 replacing with 2 new instance(s).",
		"Successfully terminated instance(s) *2 (Progress 50%).",
	}
	list := l.reasons()
	for from := 0; len(want) > 0; from++ {
		if from == len(list) {
			t.Fatalf("got events %q, want %q after those before", list, want)
		}
		if list[from] == want[0] {
			want = want[1:]
		}
	}
	l.want("repeated update", strings.Contains(fmt.Sprint(l.signal("i-1", "SUCCESS")), "is in UPDATE_COMPLETE state and can not be signaled"), true)
}

// A rolling update whose instances do not signal is rolled back to the former template.
func TestRollingUpdateFails(t *testing.T) {
	l := newRolloutLab(t)
	l.createdFleet()
	l.update(map[string]string{"Type": "g5.xlarge"})
	signalled, status := map[string]bool{}, ""
	for _, id := range l.running()["g4dn.xlarge"] {
		signalled[id] = true
	}
	for range 200 {
		status = l.after(5 * time.Second)
		for _, id := range l.running()["g4dn.xlarge"] { // new ones of the former template are healthy
			if !signalled[id] {
				signalled[id] = true
				must[struct{}](l.lab)(struct{}{}, l.signal(id, "SUCCESS"))
			}
		}
		if strings.HasSuffix(status, "ROLLBACK_COMPLETE") {
			break
		}
	}
	l.want("status", status, "UPDATE_ROLLBACK_COMPLETE")
	l.after(time.Minute)
	l.want("new ones", len(l.running()["g5.xlarge"]), 0)
	l.want("former ones", len(l.running()["g4dn.xlarge"]), 4)
	list := l.reasons()
	for _, want := range []string{
		"Failed to receive 1 resource signal(s) for the current batch. Each resource signal timeout is counted as a FAILURE.",
		"Received 0 SUCCESS signal(s) out of 4. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement",
	} {
		if !slices.Contains(list, want) {
			t.Errorf("got events %q, want %q", list, want)
		}
	}
}

// A rolling update counts instances, whatever their weights, and does not wait for spot
// instances without capacity if it does not wait for signals.
func TestWeightedRollingUpdate(t *testing.T) {
	for name, drought := range map[string]bool{"with capacity": false, "without spot": true} {
		t.Run(name, func(t *testing.T) {
			l := newRolloutLab(t)
			body := strings.NewReplacer(
				"LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}", `MixedInstancesPolicy:
        LaunchTemplate: {LaunchTemplateSpecification: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}, Overrides: [{InstanceType: g4dn.xlarge, WeightedCapacity: 10}]}
        InstancesDistribution: {OnDemandBaseCapacity: 10, OnDemandPercentageAboveBaseCapacity: 0, SpotAllocationStrategy: price-capacity-optimized}`,
				"MaxSize: 6", "MaxSize: 60", "PauseTime: PT5M, WaitOnResourceSignals: true", "PauseTime: PT1M", "MinInstancesInService: 3", "MinInstancesInService: 1",
				"Properties: {LaunchTemplateData: {ImageId: !Ref Image, ", "Properties: {LaunchTemplateData: {UserData: !Ref Type, ImageId: !Ref Image, ",
			).Replace(fleetTemplate)
			values := map[string]string{"Image": l.source(), "Size": "40", "Count": "0", "Type": "b25l"}
			must[*cfn.CreateStackOutput](l.lab)(l.cfn.CreateStack(t.Context(), &cfn.CreateStackInput{StackName: aws.String("fleet"), TemplateBody: &body, Parameters: parameters(values)}))
			l.want("created", l.after(time.Minute), "CREATE_COMPLETE")
			before := l.running()["g4dn.xlarge"]
			l.want("instances", len(before), 4)
			if drought {
				l.server.AddFault(Fault{Action: "RunInstances", Where: map[string]string{"InstanceMarketOptions.MarketType": "spot"}, Code: "InsufficientInstanceCapacity"})
			}
			values["Type"] = "dHdv"
			must[*cfn.UpdateStackOutput](l.lab)(l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("fleet"), TemplateBody: &body, Parameters: parameters(values)}))
			want := 4
			if drought {
				want = 1
			}
			l.want("updated", l.after(30*time.Minute), "UPDATE_COMPLETE")
			after := l.running()["g4dn.xlarge"]
			l.want("instances after the update", len(after), want)
			for _, id := range before {
				if slices.Contains(after, id) {
					t.Errorf("%s was not replaced", id)
				}
			}
		})
	}
}
