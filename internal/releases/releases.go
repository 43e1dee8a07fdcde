// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package releases retires older releases of an image, in steps that can be
// undone until the last: deprecate and disable; a grace of days; deregister and
// delete the snapshots. What anything still names is kept, and so is what
// cannot be known to be named by nothing.
package releases

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// API is what retiring needs of a region.
type API interface {
	distribute.RemoveAPI
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error)
	EnableImageDeprecation(context.Context, *ec2.EnableImageDeprecationInput, ...func(*ec2.Options)) (*ec2.EnableImageDeprecationOutput, error)
	DisableImage(context.Context, *ec2.DisableImageInput, ...func(*ec2.Options)) (*ec2.DisableImageOutput, error)
}

// Policy says what is kept, and for how long the rest.
type Policy struct {
	// Family is the value of the tag by which releases of an image are known.
	Family string
	// Keep is how many releases stay as they are, the newest first.
	Keep int
	// Newest is the release that was just made; it stays in any case.
	Newest string
	// Grace is how long a retired image can be brought back.
	Grace time.Duration
	// Now is the time.
	Now time.Time
	// Named says who names an image, apart from what EC2 knows of; empty for
	// nobody.
	Named func(id string) string
	// References asks AWS what names images, by their ids.
	References func(ctx context.Context, images []string) (map[string][]string, error)
	// Say tells people, a line an image.
	Say func(format string, args ...any)
}

// soon is when a retired image counts as deprecated: EC2 wants a time to come.
const soon = 5 * time.Minute

// Run retires the releases of a region. It returns the first error; what it did
// before that has been said.
func (p Policy) Run(ctx context.Context, client API, region string) error {
	older, err := p.older(ctx, client)
	if err != nil || len(older) == 0 {
		return err
	}
	ids := make([]string, len(older))
	for i, image := range older {
		ids[i] = aws.ToString(image.ImageId)
	}
	named, unknown := p.References(ctx, ids)
	for _, image := range older {
		id := aws.ToString(image.ImageId)
		title := fmt.Sprintf("%s: %s (%s)", region, id, aws.ToString(image.Name))
		why := p.Named(id)
		switch {
		case why != "":
		case unknown != nil:
			why = "whether anything names it cannot be known: " + unknown.Error()
		case len(named[id]) > 0:
			why = "it is named by " + strings.Join(named[id], ", ")
		case protected(image):
			why = "it is protected from being deregistered"
		}
		if why == "" {
			if why, err = p.retire(ctx, client, region, title, image); err != nil {
				return fmt.Errorf("%s: %w", title, err)
			}
		}
		if why != "" {
			p.Say("%s is kept: %s", title, why)
		}
	}
	return nil
}

// older are the releases beyond those that are to stay, the newest first.
func (p Policy) older(ctx context.Context, client API) ([]ec2types.Image, error) {
	images, err := distribute.Find(ctx, client, map[string]string{"tag:" + tags.Family: p.Family})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(images, func(a, b ec2types.Image) int {
		return strings.Compare(aws.ToString(b.CreationDate), aws.ToString(a.CreationDate))
	})
	kept := 1 // the newest
	return slices.DeleteFunc(images, func(image ec2types.Image) bool {
		if aws.ToString(image.ImageId) == p.Newest {
			return true
		}
		switch tag(image, tags.State) {
		case tags.Retired:
			return false
		case tags.Released:
			kept++
			return kept <= p.Keep
		}
		return true // a build is at it, or it is none of ours
	}), nil
}

// retire takes the next step with an image that nothing names, or says why not.
func (p Policy) retire(ctx context.Context, client API, region, title string, image ec2types.Image) (why string, err error) {
	id := aws.ToString(image.ImageId)
	if tag(image, tags.State) == tags.Retired {
		since, err := tags.Time(tag(image, tags.RetiredAt))
		switch {
		case err != nil:
			return fmt.Sprintf("its tag %s is no time: %q", tags.RetiredAt, tag(image, tags.RetiredAt)), nil
		case image.State == ec2types.ImageStateAvailable:
			return fmt.Sprintf("it was enabled again; set its tag %s to %q to have it counted", tags.State, tags.Released), nil
		case p.Now.Before(since.Add(p.Grace)):
			p.Say("%s is retired, and goes after %s", title, tags.Stamp(since.Add(p.Grace)))
			return "", nil
		}
		if err := distribute.Remove(ctx, client, region, id, new(ledger.Ledger)); err != nil {
			return "", err
		}
		p.Say("%s is removed with its snapshots; it was retired %s", title, tags.Stamp(since))
		return "", nil
	}
	if image.State != ec2types.ImageStateAvailable && image.State != ec2types.ImageStateDisabled {
		return fmt.Sprintf("it is %s", image.State), nil
	}
	if shared, err := sharedWith(ctx, client, id); err != nil {
		return "whether it is shared cannot be known: " + err.Error(), nil
	} else if shared != "" {
		return "it is shared with " + shared + ", and who uses it there cannot be known", nil
	}
	if image.DeprecationTime == nil {
		_, err = client.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: aws.String(id), DeprecateAt: aws.Time(p.Now.Add(soon))})
		if err != nil {
			return "", fmt.Errorf("deprecating it: %w", err)
		}
	}
	if image.State != ec2types.ImageStateDisabled {
		if _, err = client.DisableImage(ctx, &ec2.DisableImageInput{ImageId: aws.String(id)}); err != nil {
			return "", fmt.Errorf("disabling it: %w", err)
		}
	}
	// Last, so that an image is only ever removed days after all of it was done.
	_, err = client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{
		{Key: aws.String(tags.State), Value: aws.String(tags.Retired)},
		{Key: aws.String(tags.RetiredAt), Value: aws.String(tags.Stamp(p.Now))},
	}})
	if err != nil {
		return "", fmt.Errorf("tagging it: %w", err)
	}
	p.Say("%s is retired: deprecated and disabled; it goes after %s. To keep it: aws ec2 enable-image --image-id %s --region %s",
		title, tags.Stamp(p.Now.Add(p.Grace)), id, region)
	return "", nil
}

// sharedWith names who besides its owner may launch an image.
func sharedWith(ctx context.Context, client API, id string) (string, error) {
	out, err := client.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId: aws.String(id), Attribute: ec2types.ImageAttributeNameLaunchPermission,
	})
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range out.LaunchPermissions {
		for _, name := range []string{aws.ToString(p.UserId), string(p.Group), aws.ToString(p.OrganizationArn), aws.ToString(p.OrganizationalUnitArn)} {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ", "), nil
}

func protected(image ec2types.Image) bool {
	state := aws.ToString(image.DeregistrationProtection)
	return state != "" && state != "disabled"
}

func tag(image ec2types.Image, key string) string {
	for _, t := range image.Tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}
