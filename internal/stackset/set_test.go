// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// The tests of package publish roll out with faults, retries and overrides. These show
// what the package does for any caller.

// caller polls without a pause, and remembers what was printed.
type caller struct{ said strings.Builder }

func (c *caller) Sayf(format string, args ...any) { fmt.Fprintf(&c.said, format+"\n", args...) }
func (*caller) CLI() string                       { return "aws" }

func (*caller) Until(ctx context.Context, timeout time.Duration, what string, done func(context.Context) (bool, error)) error {
	return poll.Waiter{Interval: time.Millisecond, Timeout: timeout}.Until(ctx, what, done)
}

func (*caller) Again(_ context.Context, _ string, try func() error) error { return try() }

// earlier is the history of a set whose previous template is at a URL.
type earlier string

func (earlier) LastTemplate(context.Context) (string, error) { return "", nil }

func (e earlier) PreviousTemplate(context.Context, string) (string, error) { return string(e), nil }

// set returns a set in a rehearsal with two templates, at the URLs of their numbers.
func set(t *testing.T, c *stackset.Config) (server *rehearsal.Server, open func() (*stackset.Set, *caller), body func(n int) []byte, url func(n int) string) {
	t.Helper()
	server = rehearsal.New(rehearsal.Config{AccessKey: "test", SecretKey: "test"})
	clients := awsclient.New(server.AWSConfig(c.Region), "")
	const bucket = "templates"
	store := clients.S3(c.Region, bucket)
	body = func(n int) []byte {
		return fmt.Appendf(nil, "Description: number %d\nResources:\n  Handle:\n    Type: AWS::CloudFormation::WaitConditionHandle\n", n)
	}
	url = func(n int) string { return fmt.Sprintf("https://%s.s3.%s.amazonaws.com/%d", bucket, c.Region, n) }
	if _, err := store.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2} {
		if _, err := store.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(fmt.Sprint(n)), Body: strings.NewReader(string(body(n)))}); err != nil {
			t.Fatal(err)
		}
	}
	open = func() (*stackset.Set, *caller) {
		said := new(caller)
		return stackset.New(c, clients.CloudFormation(c.Region), said), said
	}
	return server, open, body, url
}

// differing returns the kinds of the findings that are not as expected.
func differing(t *testing.T, s *stackset.Set, body []byte) string {
	t.Helper()
	found, err := s.Findings(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, f := range found {
		if f.Is != f.Want {
			kinds[f.Kind] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
}

// A set is created, updated, and, if a stack fails, restored.
func TestSet(t *testing.T) {
	c := &stackset.Config{
		Name: "mining", Region: "us-east-1", Regions: []string{"eu-central-1", "us-east-1"}, Accounts: []string{"111111111111", "222222222222"},
		CanaryRegion: "eu-central-1", OnFailure: stackset.Restore, Timeout: time.Minute,
	}
	server, open, body, url := set(t, c)
	s, _ := open()
	if got := differing(t, s, body(1)); got != stackset.Kind {
		t.Errorf("before: got findings %q", got)
	}
	rollOut := func(n int) (string, error) {
		s, said := open()
		if err := s.Check(t.Context(), url(n)); err != nil {
			t.Fatal(err)
		}
		err := s.RollOut(t.Context(), stackset.Rollout{Body: body(n), Version: fmt.Sprint(n), History: earlier(url(1))})
		return said.said.String(), err
	}
	said, err := rollOut(1)
	if err != nil || !strings.Contains(said, "creating instances for 111111111111, 222222222222 in eu-central-1\n") {
		t.Fatalf("%v\n%s", err, said)
	}
	s, _ = open()
	if got := differing(t, s, body(1)); got != "" {
		t.Errorf("created: got findings %q", got)
	}
	if got := differing(t, s, body(2)); got != stackset.Kind {
		t.Errorf("another template: got findings %q", got)
	}

	server.AddFault(rehearsal.Fault{StackRegion: "eu-central-1", StackAccount: "222222222222", State: "failed", Times: 1})
	if said, err = rollOut(2); err == nil || !strings.Contains(err.Error(), "its previous template again, but latest is still of version 2") {
		t.Fatalf("%v\n%s", err, said)
	}
	s, _ = open()
	text, exists, err := s.Template(t.Context())
	if err != nil || !exists || !stackset.Alike(text, string(body(1))) {
		t.Errorf("restored: got %t, %v, %q", exists, err, text)
	}
	if said, err = rollOut(2); err != nil || strings.Contains(said, "creating") {
		t.Fatalf("%v\n%s", err, said)
	}
	s, _ = open()
	if got := differing(t, s, body(2)); got != "" {
		t.Errorf("updated: got findings %q", got)
	}
}

func TestValidate(t *testing.T) {
	c := stackset.Config{
		Region: "us-east-1", Regions: []string{"us-east-1", "cn-north-1"}, CanaryRegion: "eu-west-1",
		Overrides: []stackset.Override{stackset.NewOverride([]string{"us-west-2"}, nil, map[string]string{"Size": "1"})},
	}
	err := c.Validate()
	if err == nil || !strings.Contains(err.Error(), "cn-north-1 in aws-cn") || !strings.Contains(err.Error(), `parameter_overrides[0].regions: got "us-west-2"`) {
		t.Errorf("got %v", err)
	}
	c.Regions = []string{"us-east-1", "us-west-2"}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), `canary_region: got "eu-west-1", want one of us-east-1, us-west-2`) {
		t.Errorf("got %v", err)
	}
	c.CanaryRegion = "us-west-2"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(c.Stages()); got != "[[us-west-2] [us-east-1]]" {
		t.Errorf("got stages %s", got)
	}
}
