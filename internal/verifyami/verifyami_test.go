// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package verifyami

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// fake is EC2 of one region: its images by ID, each as a list of successive responses.
type fake struct {
	mu     sync.Mutex
	images map[string][]ec2types.Image
	shared []ec2types.LaunchPermission
	err    error
}

func (f *fake) DescribeImages(_ context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := in.ImageIds[0]
	looks := f.images[id]
	if f.err != nil {
		return nil, f.err
	}
	if len(looks) == 0 {
		return nil, &smithy.GenericAPIError{Code: "InvalidAMIID.NotFound"}
	}
	if len(looks) > 1 {
		f.images[id] = looks[1:]
	}
	return &ec2.DescribeImagesOutput{Images: looks[:1]}, nil
}

func (f *fake) DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error) {
	return &ec2.DescribeImageAttributeOutput{LaunchPermissions: f.shared}, f.err
}

// fakeClock advances only during waits.
type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.now = c.now.Add(d)
	ready := make(chan time.Time, 1)
	ready <- c.now
	return ready
}

func image(state ec2types.ImageState) ec2types.Image {
	return ec2types.Image{ImageId: aws.String("ami-1"), State: state, Architecture: "arm64", OwnerId: aws.String("111111111111"),
		StateReason: &ec2types.StateReason{Message: aws.String("the reason")}}
}

func TestVerify(t *testing.T) {
	available, pending := image("available"), image("pending")
	public := available
	public.Public = aws.Bool(true)
	user := func(id string) []ec2types.LaunchPermission {
		return []ec2types.LaunchPermission{{UserId: aws.String(id)}}
	}
	for _, tt := range []struct {
		why      string
		looks    []ec2types.Image
		shared   []ec2types.LaunchPermission
		fail     error
		accounts []string
		err      string
		waited   time.Duration
	}{
		{why: "available", looks: []ec2types.Image{available}},
		{why: "missing", err: "ami-1 in us-east-1: no such image is visible"},
		{why: "failed, with AWS's reason", looks: []ec2types.Image{image("failed")}, err: "state: got failed: the reason, want available"},
		{why: "pending, then available", looks: []ec2types.Image{pending, pending, available}, waited: 20 * time.Second},
		{why: "pending until the timeout", looks: []ec2types.Image{pending}, err: "still pending after 1m0s", waited: time.Minute},
		{why: "a call that AWS refuses", looks: []ec2types.Image{available}, fail: errors.New("denied"), err: "describing the image: denied"},
		{why: "the owner may launch it", looks: []ec2types.Image{available}, accounts: []string{"111111111111"}},
		{why: "everyone may launch a public one", looks: []ec2types.Image{public}, accounts: []string{"222222222222"}},
		{why: "an account that it is shared with", looks: []ec2types.Image{available}, accounts: []string{"222222222222"}, shared: user("222222222222")},
		{why: "an account that it is not shared with", looks: []ec2types.Image{available}, accounts: []string{"222222222222", "333333333333"}, shared: user("222222222222"),
			err: "accounts 333333333333 are not allowed to launch it; add them to ami_users"},
		{why: "an organization's members are unknown", looks: []ec2types.Image{available}, accounts: []string{"222222222222"},
			shared: []ec2types.LaunchPermission{{OrganizationArn: aws.String("arn")}}, err: "shared with an organization"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			f := &fake{images: map[string][]ec2types.Image{"ami-1": tt.looks}, shared: tt.shared, err: tt.fail}
			clock := &fakeClock{}
			v := Verifier{
				Client:   func(context.Context, string) (API, error) { return f, nil },
				Accounts: tt.accounts,
				Say:      func(string) {},
				Wait:     time.Minute,
				Clock:    clock,
			}
			arch, err := v.Verify(context.Background(), []Image{{"us-east-1", "ami-1"}})
			if tt.err == "" && (err != nil || arch[0] != "arm64") || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, %v, want %q", arch, err, tt.err)
			}
			if waited := clock.now.Sub(time.Time{}); waited != tt.waited {
				t.Errorf("got a wait of %s, want %s", waited, tt.waited)
			}
		})
	}
}

// TestVerifyReportsAllFailures: all failures are reported together.
func TestVerifyReportsAllFailures(t *testing.T) {
	v := Verifier{Client: func(context.Context, string) (API, error) { return &fake{}, nil }, Say: func(string) {}}
	var images []Image
	for range 20 {
		images = append(images, Image{"us-east-1", "ami-1"})
	}
	_, err := v.Verify(context.Background(), images)
	if n := strings.Count(err.Error(), "no such image"); n != len(images) {
		t.Errorf("got %d reported failures, want %d", n, len(images))
	}
}

func TestVerifyStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fake{images: map[string][]ec2types.Image{"ami-1": {image("pending")}}}
	v := Verifier{Client: func(context.Context, string) (API, error) { return f, nil }, Say: func(string) { cancel() }}
	if _, err := v.Verify(ctx, []Image{{"us-east-1", "ami-1"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
