// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// outageClients returns clients without pauses, of a server with a fault, and the
// lines that they report.
func outageClients(t *testing.T, limit time.Duration, fault rehearsal.Fault) (*awsclient.Clients, *rehearsal.Server, *[]string) {
	t.Helper()
	server := rehearsal.New(rehearsal.Config{Faults: []rehearsal.Fault{fault}})
	t.Cleanup(func() { _ = server.Close() })
	base := server.AWSConfig("eu-west-1")
	base.Retryer = func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 1) }
	lines := new([]string)
	clients := awsclient.New(base, "").ReportOutages(func(line string) { *lines = append(*lines, line) })
	clients.OutagePace(time.Millisecond, 0, limit)
	return clients, server, lines
}

func regions(ctx context.Context, clients *awsclient.Clients) error {
	_, err := clients.EC2("eu-west-1").DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	return err
}

// A request of WaitOut waits for the end of an outage, whatever its kind; another
// one fails at once.
func TestWaitOut(t *testing.T) {
	for name, fault := range map[string]rehearsal.Fault{
		"no response": {Outage: "1h", Drop: true},
		"503":         {Outage: "1h"},
		"500":         {Action: "DescribeRegions"},
	} {
		t.Run(name, func(t *testing.T) {
			clients, server, lines := outageClients(t, time.Minute, fault)
			if err := regions(t.Context(), clients); !awsclient.IsOutage(err) || awsclient.GaveUp(err) {
				t.Fatalf("got %v, want the outage at once", err)
			}
			ctx := awsclient.WaitOut(t.Context())
			go func() {
				time.Sleep(50 * time.Millisecond)
				server.ClearFaults()
			}()
			if err := regions(ctx, clients); err != nil {
				t.Fatal(err)
			}
			if awsclient.Paused(ctx) < 40*time.Millisecond {
				t.Errorf("paused for %s", awsclient.Paused(ctx))
			}
			want := []string{"AWS has not answered DescribeRegions in eu-west-1 for 0 s; waiting up to 1 min", "AWS answers DescribeRegions in eu-west-1 again, after 0 s"}
			if !slices.Equal(*lines, want) {
				t.Errorf("got %q, want %q", *lines, want)
			}
		})
	}
}

// A refusal is an answer, and so are throttling and a lack of capacity.
func TestWaitOutOfAnAnswer(t *testing.T) {
	for _, code := range []string{"UnauthorizedOperation", "InvalidParameterValue", "RequestLimitExceeded", "InsufficientInstanceCapacity"} {
		clients, _, lines := outageClients(t, time.Minute, rehearsal.Fault{Action: "DescribeRegions", Code: code})
		if err := regions(awsclient.WaitOut(t.Context()), clients); awsclient.Code(err) != code || len(*lines) > 0 {
			t.Errorf("%s: got %v and %q, want the answer at once", code, err, *lines)
		}
	}
}

// Requests share the limit of an outage of their service and region: after it, none
// waits until AWS has answered one.
func TestWaitOutEnds(t *testing.T) {
	clients, server, _ := outageClients(t, 100*time.Millisecond, rehearsal.Fault{Outage: "1h", Service: "ec2"})
	ctx := awsclient.WaitOut(t.Context())
	err := regions(ctx, clients)
	if !awsclient.GaveUp(err) || awsclient.IsTransient(err) || !strings.HasPrefix(awsclient.Plain(err).Error(), "AWS has not answered DescribeRegions in eu-west-1 for ") {
		t.Fatalf("got %v", err)
	}
	paused := awsclient.Paused(ctx)
	if err := regions(ctx, clients); !awsclient.GaveUp(err) || awsclient.Paused(ctx)-paused > paused/2 {
		t.Errorf("got %v after another %s, want it at once", err, awsclient.Paused(ctx)-paused)
	}
	if _, err := clients.SSM("eu-west-1").DescribeParameters(ctx, &ssm.DescribeParametersInput{}); awsclient.IsOutage(err) {
		t.Errorf("another service: %v", err)
	}
	server.ClearFaults()
	if err := regions(ctx, clients); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// A cancel ends the wait, also that of a request that ignores it.
func TestWaitOutIsCancelled(t *testing.T) {
	clients, _, _ := outageClients(t, time.Minute, rehearsal.Fault{Outage: "1h"})
	ctx, cancel := context.WithCancel(t.Context())
	waits := awsclient.WaitOut(ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := regions(context.WithoutCancel(waits), clients); !awsclient.IsOutage(err) || awsclient.GaveUp(err) {
		t.Errorf("got %v, want the error of the last request", err)
	}
}

// source is a source of session tokens.
type source struct {
	tokens []string // the last one stays
	asked  int
}

func (s *source) Retrieve(context.Context) (aws.Credentials, error) {
	token := s.tokens[min(s.asked, len(s.tokens)-1)]
	s.asked++
	if token == "" {
		return aws.Credentials{}, errors.New("the SSO session has expired")
	}
	return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret", SessionToken: token, Source: "SSOProvider"}, nil
}

// Expired credentials are renewed once, by a source that has new ones.
func TestExpiredCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		tokens []string
		want   string // of the error
		asked  int
	}{
		"renewed":             {[]string{"old", "new"}, "", 2},
		"the same again":      {[]string{"old"}, "credentials: got expired ones from IAM Identity Center (SSO) (RequestExpired: Request has expired.), want valid ones; run aws sso login", 2},
		"refused":             {[]string{"old", ""}, "the SSO session has expired), want valid ones; run aws sso login", 2},
		"also expired":        {[]string{"old", "old too"}, "RequestExpired: Request has expired.", 2},
		"without a new token": {[]string{"valid"}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})
			t.Cleanup(func() { _ = server.Close() })
			for _, token := range []string{"old", "old too"} {
				server.AddFault(rehearsal.Fault{ExpiredToken: token})
			}
			base, from := server.AWSConfig("eu-west-1"), &source{tokens: test.tokens}
			base.Credentials = from
			err := regions(t.Context(), awsclient.New(base, ""))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(awsclient.Plain(err).Error(), test.want) || from.asked != test.asked {
				t.Errorf("got %v after %d requests to the source, want %q after %d", awsclient.Plain(err), from.asked, test.want, test.asked)
			}
		})
	}
}
