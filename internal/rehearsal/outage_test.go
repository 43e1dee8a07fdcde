// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// An outage has no answer of the named service and region until its time has
// passed, and each service has its error for an expired token.
func TestOutageAndExpiry(t *testing.T) {
	clock := pace.NewManual(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	server := New(Config{Clock: clock})
	t.Cleanup(func() { _ = server.Close() })
	calls := map[string]func(region string) error{
		"ec2": func(region string) error {
			_, err := ec2.NewFromConfig(server.AWSConfig(region)).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}, func(o *ec2.Options) { o.RetryMaxAttempts = 1 })
			return err
		},
		"ssm": func(region string) error {
			_, err := ssm.NewFromConfig(server.AWSConfig(region)).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/x")}, func(o *ssm.Options) { o.RetryMaxAttempts = 1 })
			return err
		},
		"sts": func(region string) error {
			_, err := sts.NewFromConfig(server.AWSConfig(region)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}, func(o *sts.Options) { o.RetryMaxAttempts = 1 })
			return err
		},
		"s3": func(region string) error {
			_, err := s3.NewFromConfig(server.AWSConfig(region)).ListBuckets(t.Context(), &s3.ListBucketsInput{}, func(o *s3.Options) { o.RetryMaxAttempts, o.UsePathStyle = 1, true })
			return err
		},
	}
	for _, drop := range []bool{false, true} {
		server.AddFault(Fault{Outage: "40s", Service: "ec2", Region: "eu-west-1", Drop: drop})
		err := calls["ec2"]("eu-west-1")
		var unsent *smithyhttp.RequestSendError
		var answer *smithyhttp.ResponseError
		if drop != errors.As(err, &unsent) || !errors.As(err, &answer) || !drop && answer.HTTPStatusCode() != http.StatusServiceUnavailable {
			t.Errorf("drop %t: got %v", drop, err)
		}
		if err := calls["ec2"]("us-east-1"); err != nil {
			t.Errorf("another region: %v", err)
		}
		if err := calls["sts"]("eu-west-1"); err != nil {
			t.Errorf("another service: %v", err)
		}
		clock.Advance(40 * time.Second)
		if err := calls["ec2"]("eu-west-1"); err != nil {
			t.Errorf("after its time: %v", err)
		}
	}
	server.AddFault(Fault{ExpiredToken: "*"})
	for service, want := range map[string]string{"ec2": "RequestExpired", "ssm": "ExpiredTokenException", "sts": "ExpiredToken", "s3": "ExpiredToken"} {
		var got smithy.APIError
		if err := calls[service]("eu-west-1"); !errors.As(err, &got) || got.ErrorCode() != want {
			t.Errorf("%s: got %v, want %s", service, err, want)
		}
	}
	server.ClearFaults()
	if err := calls["ec2"]("eu-west-1"); err != nil {
		t.Errorf("without faults: %v", err)
	}
}
