// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// TemporaryPrefix is the prefix of a build's IAM names. Tags are read only for
// resources with this prefix, with one request each.
const TemporaryPrefix = "packer-"

// SweepIAM holds the IAM requests of a sweep.
type SweepIAM interface {
	IAM
	iam.ListInstanceProfilesAPIClient
	iam.ListRolesAPIClient
}

// LookIAM returns the temporary instance profiles and roles to sweep, in the order
// of removal, and those of builds that have not expired.
func LookIAM(ctx context.Context, api SweepIAM, choice Choice, now time.Time) (found, living []Resource, err error) {
	var all []Resource
	profiles := iam.NewListInstanceProfilesPaginator(api, &iam.ListInstanceProfilesInput{})
	for profiles.HasMorePages() {
		page, err := profiles.NextPage(ctx)
		if err != nil {
			return nil, nil, &SearchError{Global, InstanceProfile, err}
		}
		for _, p := range page.InstanceProfiles {
			all = append(all, Resource{Kind: InstanceProfile, ID: aws.ToString(p.InstanceProfileName), Since: p.CreateDate})
		}
	}
	roles := iam.NewListRolesPaginator(api, &iam.ListRolesInput{})
	for roles.HasMorePages() {
		page, err := roles.NextPage(ctx)
		if err != nil {
			return nil, nil, &SearchError{Global, Role, err}
		}
		for _, r := range page.Roles {
			all = append(all, Resource{Kind: Role, ID: aws.ToString(r.RoleName), Since: r.CreateDate})
		}
	}
	var failures []error
	for _, r := range all {
		if !strings.HasPrefix(r.ID, TemporaryPrefix) {
			continue
		}
		r.Region = Global
		r, there, err := iamAgain(ctx, api, r)
		if err != nil {
			failures = append(failures, fmt.Errorf("reading the tags of %s: %w", r.ID, err))
		}
		switch {
		case there && choice.takes(r, now):
			found = append(found, r)
		case there && r.ours() && choice.BuildID == "":
			living = append(living, r)
		}
	}
	return found, living, errors.Join(failures...)
}

// iamAgain returns a resource with its current tags, or false if it no longer
// exists.
func iamAgain(ctx context.Context, api SweepIAM, r Resource) (Resource, bool, error) {
	labels, err := IAMTags(ctx, api, r.entry()) // lists do not return tags
	if awsclient.IsNotFound(err) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	return r.labelled(func(key string) string { return labels[key] }), true, nil
}
