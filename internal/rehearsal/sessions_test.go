// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// Session Manager connects to a running instance with an instance profile.
func TestStartSession(t *testing.T) {
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Seed: "sessions"})}
	l.ec2 = l.in("eu-central-1")
	client := ssm.NewFromConfig(l.server.AWSConfig("eu-central-1"), func(o *ssm.Options) { o.RetryMaxAttempts = 1 })
	launch := func(profile *types.IamInstanceProfileSpecification) string {
		out := must[*sdk.RunInstancesOutput](l)(l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{
			ImageId: aws.String(l.source()), InstanceType: types.InstanceTypeG4dnXlarge, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), IamInstanceProfile: profile,
		}))
		return *out.Instances[0].InstanceId
	}
	managed, plain := launch(&types.IamInstanceProfileSpecification{Name: aws.String("ssm")}), launch(nil)
	const forward = "AWS-StartPortForwardingSession"
	for _, test := range []struct {
		name, target, document, port string
		code                         string
	}{
		{"managed instance", managed, forward, "22", ""},
		{"without instance profile", plain, forward, "22", "TargetNotConnected"},
		{"unknown instance", "i-00000000000000000", forward, "22", "TargetNotConnected"},
		{"unknown document", managed, "AWS-StartInteractiveCommand", "22", "InvalidDocument"},
		{"invalid port", managed, forward, "ssh", "InvalidParameters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.StartSession(t.Context(), &ssm.StartSessionInput{
				Target: aws.String(test.target), DocumentName: aws.String(test.document),
				Parameters: map[string][]string{"portNumber": {test.port}, "localPortNumber": {"8022"}},
			})
			if test.code != "" {
				l.wantCode(err, test.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ended := must[*ssm.TerminateSessionOutput](l)(client.TerminateSession(t.Context(), &ssm.TerminateSessionInput{SessionId: out.SessionId}))
			if *ended.SessionId != *out.SessionId || *out.TokenValue == "" {
				t.Errorf("started %+v, terminated %s", out, *ended.SessionId)
			}
		})
	}
	must[*sdk.StopInstancesOutput](l)(l.ec2.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{managed}}))
	_, err := client.StartSession(t.Context(), &ssm.StartSessionInput{Target: aws.String(managed), DocumentName: aws.String(forward)})
	l.wantCode(err, "TargetNotConnected")
}
