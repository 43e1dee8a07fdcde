// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestConnectionsAreShared: all calls share one HTTP client and its connections, because
// a TLS handshake often takes longer than a request.
func TestConnectionsAreShared(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<DescribeRegionsResponse/>"))
	}))
	defer server.Close()
	key := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret"}, nil
	})
	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithCredentialsProvider(key))
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]aws.Config{
		"loaded": loaded,
		"bare":   {Region: "us-east-1", Credentials: key},
	} {
		clients := New(base, server.URL)
		used := map[ec2.HTTPClient]int{}
		for range 2 {
			for _, region := range []string{"us-east-1", "eu-west-1"} {
				_, err := clients.EC2(region).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}, func(o *ec2.Options) { used[o.HTTPClient]++ })
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(used) != 1 {
			t.Errorf("%s: got %d HTTP clients for four calls, want 1", name, len(used))
		}
	}
}

// TestClientsAreCreatedOnce: a service has one client per region.
func TestClientsAreCreatedOnce(t *testing.T) {
	retryers := 0
	clients := New(aws.Config{Region: "us-east-1", Retryer: func() aws.Retryer { retryers++; return retry.NewStandard() }}, "")
	for name, service := range map[string]struct {
		get      func(region string) any
		regional bool
	}{
		"ec2":            {func(region string) any { return clients.EC2(region) }, true},
		"cloudformation": {func(region string) any { return clients.CloudFormation(region) }, true},
		"kms":            {func(region string) any { return clients.KMS(region) }, true},
		"s3":             {func(region string) any { return clients.S3(region, "bucket") }, true},
		"ssm":            {func(region string) any { return clients.SSM(region) }, true},
		"iam":            {func(string) any { return clients.IAM() }, false},
		"pricing":        {func(string) any { return clients.Pricing() }, false},
		"servicequotas":  {func(string) any { return clients.Quotas() }, false},
		"sts":            {func(string) any { return clients.STS() }, false},
	} {
		retryers = 0
		first, again, other := service.get("us-east-1"), service.get("us-east-1"), service.get("eu-west-1")
		want := 1
		if service.regional {
			want = 2
		}
		if first != again || (first != other) != service.regional || retryers != want {
			t.Errorf("%s: second client in the region: %t, in another: %t, %d retryers, want %d", name, first != again, first != other, retryers, want)
		}
	}
	if clients.S3("us-east-1", "dotted.bucket") == clients.S3("us-east-1", "bucket") {
		t.Error("got virtual-hosted addressing, want path-style for a bucket with a dot in its name")
	}
}

// TestRetryQuotaIsShared: all calls share one retry quota.
func TestRetryQuotaIsShared(t *testing.T) {
	standard := func(o *retry.StandardOptions) {
		o.RateLimiter = ratelimit.NewTokenRateLimit(3 * o.RetryCost)
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	}
	for mode, retryer := range map[string]func() aws.Retryer{
		"standard": func() aws.Retryer { return retry.NewStandard(standard) },
		"adaptive": func() aws.Retryer {
			return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) { o.StandardOptions = append(o.StandardOptions, standard) })
		},
	} {
		t.Run(mode, func(t *testing.T) {
			tries := map[string]int{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				tries[r.Form.Get("Action")]++
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			defer server.Close()
			key := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret"}, nil
			})
			clients := New(aws.Config{Region: "us-east-1", Credentials: key, Retryer: retryer}, server.URL)
			_, first := clients.EC2("us-east-1").DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
			_, second := clients.EC2("us-east-1").DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}, FewTries)
			_, third := clients.EC2("us-east-1").DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{}, NoLaunchRetries)
			if first == nil || second == nil || third == nil {
				t.Fatalf("got %v, %v and %v, want three errors", first, second, third)
			}
			// Three retries for all three calls.
			if tries["DescribeRegions"] != 3 || tries["DescribeVpcs"] != 2 || tries["DescribeSubnets"] != 1 {
				t.Errorf("got attempts %v, want 3, 2 and 1", tries)
			}
		})
	}
}

// TestLaunchUsesAttemptToken: a launch counts against the rate of adaptive mode.
func TestLaunchUsesAttemptToken(t *testing.T) {
	r := &countingRetryer{RetryerV2: retry.NewStandard()}
	o := ec2.Options{Retryer: r}
	NoLaunchRetries(&o)
	if _, err := o.Retryer.(aws.RetryerV2).GetAttemptToken(t.Context()); err != nil || r.tokens != 1 {
		t.Errorf("got %d tokens and %v, want 1", r.tokens, err)
	}
}

type countingRetryer struct {
	aws.RetryerV2
	tokens int
}

func (r *countingRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	r.tokens++
	return r.RetryerV2.GetAttemptToken(ctx)
}
