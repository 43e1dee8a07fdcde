// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// checkImages rejects a publication whose stacks cannot launch: a region without
// an image, an image that does not exist, an account that may not launch it.
func (r *run) checkImages(ctx context.Context) error {
	images, err := r.plan.Images()
	if err != nil || r.plan.TrustImages {
		return err
	}
	known, err := r.sharings(ctx, images)
	if err != nil {
		return err
	}
	return r.checkAccounts(ctx, images, known)
}

// checkAccounts checks that the stack set's targets may launch the images. known
// has the images whose launch permissions are known.
func (r *run) checkAccounts(ctx context.Context, images []Image, known map[Image]Sharing) error {
	set := r.plan.StackSet
	if set == nil {
		return nil
	}
	// The members of a unit matter only if images are shared with single accounts.
	needed := false
	for _, s := range known {
		needed = needed || !s.Public && len(s.OrganizationARNs)+len(s.OrganizationUnits) == 0
	}
	var members map[string][]string // unit: accounts
	if needed && len(set.OrganizationalUnits) > 0 {
		var err error
		if members, err = r.stackSet(set).Members(ctx); err != nil {
			return err
		}
	}
	var errs []error
	unsure := map[string][]string{} // target: regions
	for _, image := range images {
		sharing, ok := known[image]
		if !ok || !slices.Contains(set.Regions, image.Region) {
			continue
		}
		var refused []string
		decide := func(what, id string, v verdict) {
			switch v {
			case denied:
				refused = append(refused, what+" "+id)
			case unknown:
				unsure[id] = append(unsure[id], image.Region)
			}
		}
		for _, id := range set.Accounts {
			decide("account", id, sharing.account(id))
		}
		for _, id := range set.OrganizationalUnits {
			decide("organizational unit", id, sharing.unit(id, members[id]))
		}
		if len(refused) > 0 {
			errs = append(errs, fmt.Errorf("%s: %s may not launch %s (%s.%s.%s); share the image (ami_users, ami_org_arns or ami_ou_arns of the builder), or remove the target from stack_set",
				image.Region, strings.Join(refused, ", "), image.ID, r.plan.Mapping, image.Region, image.Attribute))
		}
	}
	for _, id := range unique(slices.Concat(set.Accounts, set.OrganizationalUnits)) {
		if regions := unsure[id]; len(regions) > 0 {
			r.Sayf("stack set %s: not checked whether %s may launch the images in %s: the images are shared with organizations, organizational units or accounts whose relation to it is unknown",
				set.Name, id, strings.Join(unique(regions), ", "))
		}
	}
	return errors.Join(errs...)
}

// sharings looks up every image, all regions at once. An image that does not exist
// is an error; one that these credentials may not look up is skipped.
func (r *run) sharings(ctx context.Context, images []Image) (map[Image]Sharing, error) {
	byRegion := map[string][]Image{}
	var regions []string
	for _, image := range images {
		if byRegion[image.Region] == nil {
			regions = append(regions, image.Region)
		}
		byRegion[image.Region] = append(byRegion[image.Region], image)
	}
	errs := make([]error, len(regions))
	found := make([]map[Image]Sharing, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() { found[i], errs[i] = r.sharingsIn(ctx, region, byRegion[region]) })
	}
	wg.Wait()
	all := map[Image]Sharing{}
	var unchecked []string
	for i, region := range regions {
		if awsclient.IsUnauthorized(errs[i]) {
			unchecked, errs[i] = append(unchecked, region), nil
		}
		for image, sharing := range found[i] {
			all[image] = sharing
		}
	}
	if len(unchecked) > 0 {
		r.Sayf("not checked whether the images in %s can be launched: allow ec2:DescribeImages and ec2:DescribeImageAttribute", strings.Join(unchecked, ", "))
	}
	return all, errors.Join(errs...)
}

func (r *run) sharingsIn(ctx context.Context, region string, images []Image) (map[Image]Sharing, error) {
	api := r.Clients.EC2(region)
	var ids []string
	for _, image := range images {
		ids = append(ids, image.ID)
	}
	// With a list of ids, one unknown id would fail the whole request.
	var out *ec2.DescribeImagesOutput
	err := r.Again(ctx, "looking up the images in "+region, func() (err error) {
		out, err = api.DescribeImages(ctx, &ec2.DescribeImagesInput{
			Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: unique(ids)}}, IncludeDeprecated: aws.Bool(true), // which can be launched
		})
		return err
	})
	if err != nil {
		return nil, awsclient.Denied(err, "ec2:DescribeImages", region)
	}
	known := map[Image]Sharing{}
	var errs []error
	for _, image := range images {
		i := slices.IndexFunc(out.Images, func(v ec2types.Image) bool { return aws.ToString(v.ImageId) == image.ID })
		name := strings.Join([]string{r.plan.Mapping, region, image.Attribute}, ".")
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("%s: %s is %s, which does not exist there, is disabled, or is not shared with these credentials; build for %s again, or remove it from regions of publish", region, name, image.ID, region))
			continue
		case out.Images[i].State != ec2types.ImageStateAvailable:
			errs = append(errs, fmt.Errorf("%s: %s is %s, which is %s, want available", region, name, image.ID, out.Images[i].State))
			continue
		}
		if why := failedTest(out.Images[i]); why != "" {
			errs = append(errs, fmt.Errorf("%s: %s is %s, whose launch test has %s; build for %s again, or test the image again: packer-plugin-ethminer test-image %s:%s", region, name, image.ID, why, region, region, image.ID))
			continue
		}
		sharing, ok, err := r.sharing(ctx, api, region, out.Images[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", region, image.ID, err))
		} else if ok {
			known[image] = sharing
		}
	}
	return known, errors.Join(errs...)
}

// failedTest returns the tag of a failed launch test, or empty.
func failedTest(image ec2types.Image) string {
	for _, tag := range image.Tags {
		if aws.ToString(tag.Key) == tags.LaunchTest && artifact.TagSaysFailed(aws.ToString(tag.Value)) {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

// sharing reads who may launch an image, if a stack set needs to know. Only the
// owner of an image may read it; false means unknown.
func (r *run) sharing(ctx context.Context, api *awsclient.EC2, region string, image ec2types.Image) (Sharing, bool, error) {
	s := Sharing{Owner: aws.ToString(image.OwnerId), Public: aws.ToBool(image.Public)}
	set := r.plan.StackSet
	others := set != nil && slices.Contains(set.Regions, region) &&
		(len(set.OrganizationalUnits) > 0 || slices.ContainsFunc(set.Accounts, func(id string) bool { return id != s.Owner }))
	if s.Public || !others {
		return s, true, nil
	}
	var out *ec2.DescribeImageAttributeOutput
	err := r.Again(ctx, "looking up who may launch "+*image.ImageId, func() (err error) {
		out, err = api.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: image.ImageId, Attribute: ec2types.ImageAttributeNameLaunchPermission})
		return err
	})
	switch {
	case awsclient.IsUnauthorized(err), awsclient.IsBadCredentials(err), awsclient.IsNotFound(err):
		r.Sayf("stack set %s: not checked whether its accounts may launch %s in %s: only the owner (%s) can read its launch permissions, with ec2:DescribeImageAttribute", set.Name, *image.ImageId, region, s.Owner)
		return s, false, nil
	case err != nil:
		return s, false, err
	}
	for _, p := range out.LaunchPermissions {
		s.Public = s.Public || p.Group == ec2types.PermissionGroupAll
		s.Accounts = appendSet(s.Accounts, p.UserId)
		s.OrganizationARNs = appendSet(s.OrganizationARNs, p.OrganizationArn)
		s.OrganizationUnits = appendSet(s.OrganizationUnits, p.OrganizationalUnitArn)
	}
	return s, true, nil
}

func appendSet(list []string, text *string) []string {
	if text == nil {
		return list
	}
	return append(list, *text)
}

func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
