// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package verifyami checks the images of a map before it is written: they must
// exist, be available, and be shared with the accounts that launch them. It also
// returns their architecture.
package verifyami

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// API holds the EC2 requests of the checks.
type API interface {
	DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error)
}

// Image is an image to check.
type Image struct{ Region, ID string }

// Verifier checks images. Client and Say must be set.
type Verifier struct {
	// Client returns the EC2 client of a region.
	Client func(ctx context.Context, region string) (API, error)
	// Accounts are the ids of the accounts that must be able to launch every
	// image. Its owner always can.
	Accounts []string
	// Tested requires images that have passed a launch test, by their tag.
	Tested bool
	// Say prints progress; it may be called concurrently.
	Say func(string)
	// Wait is how long to wait for a pending image. Default: 30 minutes.
	Wait time.Duration
	// Clock is poll.Wall unless set.
	Clock poll.Clock
}

const (
	defaultWait = 30 * time.Minute
	interval    = 10 * time.Second // between two requests for a pending image
	parallel    = 8                // concurrent regions
)

// Verify checks all images and returns all failures in one error. It returns the
// architecture of each image in order, in EC2's spelling: x86_64, arm64.
func (v Verifier) Verify(ctx context.Context, images []Image) ([]string, error) {
	if v.Wait == 0 {
		v.Wait = defaultWait
	}
	if v.Clock == nil {
		v.Clock = poll.Wall{}
	}
	found := make([]string, len(images))
	errs := make([]error, len(images))
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, image := range images {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i], errs[i] = v.one(ctx, image)
		})
	}
	wg.Wait()
	var failed []error
	for i, image := range images {
		if errs[i] != nil {
			failed = append(failed, fmt.Errorf("%s in %s: %w", image.ID, image.Region, errs[i]))
		}
	}
	sort.SliceStable(failed, func(i, j int) bool { return failed[i].Error() < failed[j].Error() })
	return found, errors.Join(failed...)
}

func (v Verifier) one(ctx context.Context, want Image) (string, error) {
	client, err := v.Client(ctx, want.Region)
	if err != nil {
		return "", err
	}
	image, err := v.available(ctx, client, want)
	if err != nil {
		return "", err
	}
	return string(image.Architecture), errors.Join(v.tested(image), v.launchable(ctx, client, image))
}

// tested checks the tag of the launch test. An image that has failed is never used.
func (v Verifier) tested(image *ec2types.Image) error {
	verdict := ""
	for _, tag := range image.Tags {
		if aws.ToString(tag.Key) == tags.LaunchTest {
			verdict = aws.ToString(tag.Value)
		}
	}
	switch {
	case artifact.TagSaysFailed(verdict):
		return fmt.Errorf("its launch test has %s", verdict)
	case v.Tested && verdict == "":
		return fmt.Errorf("it has no tag %s, so no launch test is known (require_launch_test); test it: packer-plugin-ethminer test-image %s", tags.LaunchTest, aws.ToString(image.ImageId))
	case v.Tested && !artifact.TagSaysPassed(verdict):
		return fmt.Errorf("its launch test was %s (require_launch_test)", verdict)
	}
	return nil
}

// available waits for an image that is pending.
func (v Verifier) available(ctx context.Context, client API, want Image) (*ec2types.Image, error) {
	var image *ec2types.Image
	var last error
	begun, next := v.Clock.Now(), time.Duration(0) // next is when to report progress
	wait := poll.Waiter{Interval: interval, Fixed: true, Timeout: v.Wait, Clock: v.Clock}
	err := wait.Until(ctx, "the image", func(ctx context.Context) (bool, error) {
		if image, last = look(ctx, client, want); last != nil || image.State == ec2types.ImageStateAvailable {
			return last == nil, last
		}
		if waited := v.Clock.Now().Sub(begun); next == 0 {
			v.Say(fmt.Sprintf("Waiting for pending image %s in %s", want.ID, want.Region))
			next = time.Minute
		} else if waited >= next {
			v.Say(fmt.Sprintf("%s in %s is still pending after %s", want.ID, want.Region, waited.Round(time.Second)))
			next += time.Minute
		}
		return false, nil
	})
	var late *poll.TimeoutError
	switch {
	case last != nil:
		return nil, last
	case errors.As(err, &late):
		return nil, fmt.Errorf("still pending after %s; retry when it is available", v.Wait)
	case err != nil:
		return nil, err
	case next != 0:
		v.Say(fmt.Sprintf("%s in %s is available", want.ID, want.Region))
	}
	return image, nil
}

// look returns an image that is available or pending.
func look(ctx context.Context, client API, want Image) (*ec2types.Image, error) {
	out, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{want.ID}})
	switch {
	case awsclient.IsNotFound(err), err == nil && len(out.Images) == 0:
		return nil, errors.New("no such image is visible to these credentials")
	case err != nil:
		return nil, fmt.Errorf("describing the image: %w", err)
	}
	image := &out.Images[0]
	switch image.State {
	case ec2types.ImageStateAvailable, ec2types.ImageStatePending:
		return image, nil
	}
	reason := ""
	if image.StateReason != nil && image.StateReason.Message != nil {
		reason = ": " + *image.StateReason.Message
	}
	return nil, fmt.Errorf("state: got %s%s, want available", image.State, reason)
}

// launchable checks that all Accounts may launch the image.
func (v Verifier) launchable(ctx context.Context, client API, image *ec2types.Image) error {
	var others []string
	for _, a := range v.Accounts {
		if image.OwnerId == nil || *image.OwnerId != a {
			others = append(others, a)
		}
	}
	if len(others) == 0 || image.Public != nil && *image.Public {
		return nil
	}
	out, err := client.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId: image.ImageId, Attribute: ec2types.ImageAttributeNameLaunchPermission})
	if err != nil {
		return fmt.Errorf("reading its launch permissions (allowed only for its owner): %w", err)
	}
	shared := false
	for _, p := range out.LaunchPermissions {
		if p.UserId != nil {
			others = slices.DeleteFunc(others, func(a string) bool { return a == *p.UserId })
		}
		shared = shared || p.OrganizationArn != nil || p.OrganizationalUnitArn != nil
	}
	if len(others) == 0 {
		return nil
	}
	hint := "add them to ami_users"
	if shared {
		hint = "it is shared with an organization, whose members are unknown: remove the accounts from launch_accounts if they belong to it"
	}
	return fmt.Errorf("accounts %s are not allowed to launch it; %s", strings.Join(others, ", "), hint)
}
