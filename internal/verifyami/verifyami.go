// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package verifyami asks AWS whether images are what a map is about to say of
// them: there, available, and open to the accounts that will launch them. It
// also learns their architecture.
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

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// API is what is asked of a region's EC2.
type API interface {
	DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error)
}

// Image is an image to check.
type Image struct{ Region, ID string }

// Verifier checks images. Client and Say must be set.
type Verifier struct {
	// Client returns the EC2 of a region.
	Client func(ctx context.Context, region string) (API, error)
	// Accounts are the ids of the accounts that must be able to launch every
	// image; its owner always is.
	Accounts []string
	// Say tells a person about progress; it may be called by several at once.
	Say func(string)
	// Wait is how long a pending image is waited for. Default: 30 minutes.
	Wait time.Duration
	// Sleep waits between two looks. Default: by the clock.
	Sleep func(context.Context, time.Duration) error
}

const (
	defaultWait = 30 * time.Minute
	interval    = 10 * time.Second // between two looks at a pending image
	parallel    = 8                // regions asked at once
)

// Verify checks all images and reports all failures in one error. It returns
// the architecture of each, in the order of images and as EC2 spells it: x86_64,
// arm64.
func (v Verifier) Verify(ctx context.Context, images []Image) ([]string, error) {
	if v.Wait == 0 {
		v.Wait = defaultWait
	}
	if v.Sleep == nil {
		v.Sleep = sleep
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
	for i, err := range errs {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s in %s: %w", images[i].ID, images[i].Region, err))
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
	return string(image.Architecture), v.launchable(ctx, client, image)
}

// available waits for an image that is pending.
func (v Verifier) available(ctx context.Context, client API, want Image) (*ec2types.Image, error) {
	waited := time.Duration(0)
	for said := false; ; waited += interval {
		out, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{want.ID}})
		switch {
		case ec2api.IsNotFound(err), err == nil && len(out.Images) == 0:
			return nil, errors.New("no such image is visible there to these credentials")
		case err != nil:
			return nil, fmt.Errorf("asking for the image: %w", err)
		}
		image := &out.Images[0]
		switch image.State {
		case ec2types.ImageStateAvailable:
			if said {
				v.Say(fmt.Sprintf("%s in %s is available", want.ID, want.Region))
			}
			return image, nil
		case ec2types.ImageStatePending:
		default:
			reason := ""
			if image.StateReason != nil && image.StateReason.Message != nil {
				reason = ": " + *image.StateReason.Message
			}
			return nil, fmt.Errorf("its state is %s%s; expected available", image.State, reason)
		}
		if waited >= v.Wait {
			return nil, fmt.Errorf("still pending after %s; run again when it is available", waited)
		}
		if !said {
			said = true
			v.Say(fmt.Sprintf("waiting for %s in %s, which is pending", want.ID, want.Region))
		} else if waited%time.Minute == 0 {
			v.Say(fmt.Sprintf("%s in %s is still pending after %s", want.ID, want.Region, waited))
		}
		if err := v.Sleep(ctx, interval); err != nil {
			return nil, err
		}
	}
}

// launchable says whether all Accounts may launch the image.
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
		return fmt.Errorf("asking who may launch it (only its owner may ask): %w", err)
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
		hint = "it is shared with an organization, whose members are not known here: take them out of launch_accounts if they belong to it"
	}
	return fmt.Errorf("the accounts %s may not launch it; %s", strings.Join(others, ", "), hint)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
