// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package retention retires older releases of an image: it deprecates and disables
// them and, after a grace period, deregisters them and deletes their snapshots.
// Only the last step cannot be undone. Images that are in use, or whose use is
// unknown, are kept.
package retention

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// API holds the EC2 requests for retiring images.
type API interface {
	cleanup.API
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error)
	EnableImageDeprecation(context.Context, *ec2.EnableImageDeprecationInput, ...func(*ec2.Options)) (*ec2.EnableImageDeprecationOutput, error)
	DisableImage(context.Context, *ec2.DisableImageInput, ...func(*ec2.Options)) (*ec2.DisableImageOutput, error)
}

// Policy configures the images to keep, and the grace period of others.
type Policy struct {
	// Family is the value of the tag that identifies releases of an image.
	Family string
	// Keep is the number of releases to keep, the newest first.
	Keep int
	// Newest is the release that was just created; it is always kept.
	Newest string
	// Grace is how long a retired image can be enabled again.
	Grace time.Duration
	// Now is the current time.
	Now time.Time
	// Named returns why an image is in use by something that EC2 does not know;
	// empty if it is not.
	Named func(id string) string
	// References returns, by image id, the AWS resources that use the images.
	References func(ctx context.Context, images []string) (map[string][]string, error)
	// Say prints one line per image.
	Say func(format string, args ...any)
}

// soon is when a retired image becomes deprecated, as EC2 requires a future time.
const soon = 5 * time.Minute

// Run retires the releases of a region. It returns the first error, after
// reporting the previous images.
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
			why = "could not check whether it is in use: " + unknown.Error()
		case len(named[id]) > 0:
			why = "in use by " + strings.Join(named[id], ", ")
		case protected(image):
			why = "deregistration protection is enabled"
		}
		if why == "" {
			if why, err = p.retire(ctx, client, region, title, image); err != nil {
				return fmt.Errorf("%s: %w", title, err)
			}
		}
		if why != "" {
			p.Say("%s: kept: %s", title, why)
		}
	}
	return nil
}

// older returns the releases to retire, the newest first.
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
		return true // being built, or not created by the plugin
	}), nil
}

// retire takes the next step for an unused image, or returns why it is kept.
func (p Policy) retire(ctx context.Context, client API, region, title string, image ec2types.Image) (why string, err error) {
	id := aws.ToString(image.ImageId)
	if tag(image, tags.State) == tags.Retired {
		since, err := tags.Time(tag(image, tags.RetiredAt))
		switch {
		case err != nil:
			return fmt.Sprintf("its tag %s is not a valid time: %q", tags.RetiredAt, tag(image, tags.RetiredAt)), nil //nolint:nilerr // the reason to keep the image
		case image.State == ec2types.ImageStateAvailable:
			return fmt.Sprintf("it was enabled again; set its tag %s to %q to count it as a release", tags.State, tags.Released), nil
		case p.Now.Before(since.Add(p.Grace)):
			p.Say("%s: retired; will be deregistered after %s", title, tags.Stamp(since.Add(p.Grace)))
			return "", nil
		}
		remover := cleanup.Remover{Client: client, Ledger: new(cleanup.Ledger)}
		if err := remover.Remove(ctx, cleanup.Entry{Kind: cleanup.Image, Region: region, ID: id, Seen: true}); err != nil {
			return "", err
		}
		p.Say("%s: deregistered and its snapshots deleted; retired %s", title, tags.Stamp(since))
		return "", nil
	}
	if image.State != ec2types.ImageStateAvailable && image.State != ec2types.ImageStateDisabled {
		return fmt.Sprintf("its state is %s", image.State), nil
	}
	if shared, err := sharedWith(ctx, client, id); err != nil {
		return "could not check whether it is shared: " + err.Error(), nil //nolint:nilerr // the reason to keep the image
	} else if shared != "" {
		return "shared with " + shared + ", where its use is unknown", nil
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
	// Last, so that the grace period starts after all other steps.
	_, err = client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{
		{Key: aws.String(tags.State), Value: aws.String(tags.Retired)},
		{Key: aws.String(tags.RetiredAt), Value: aws.String(tags.Stamp(p.Now))},
	}})
	if err != nil {
		return "", fmt.Errorf("tagging it: %w", err)
	}
	p.Say("%s: retired (deprecated and disabled); will be deregistered after %s. To keep it: aws ec2 enable-image --image-id %s --region %s",
		title, tags.Stamp(p.Now.Add(p.Grace)), id, region)
	return "", nil
}

// sharedWith returns with whom an image is shared.
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
