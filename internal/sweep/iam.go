// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

// Kinds of IAM, in the order of removal: a profile holds its role.
const (
	InstanceProfile ledger.Kind = "instance-profile"
	Role            ledger.Kind = "role"
)

// Global stands for a region where there is none.
const Global = "global"

// temporaryPrefix begins the names of what a build makes in IAM. Tags are read
// of those only, one call each.
const temporaryPrefix = "packer-"

// IAM is what a sweep needs of that service.
type IAM interface {
	iam.ListInstanceProfilesAPIClient
	iam.ListRolesAPIClient
	iam.ListRolePoliciesAPIClient
	GetRole(context.Context, *iam.GetRoleInput, ...func(*iam.Options)) (*iam.GetRoleOutput, error)
	GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteInstanceProfile(context.Context, *iam.DeleteInstanceProfileInput, ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error)
	DeleteRolePolicy(context.Context, *iam.DeleteRolePolicyInput, ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error)
	DeleteRole(context.Context, *iam.DeleteRoleInput, ...func(*iam.Options)) (*iam.DeleteRoleOutput, error)
}

// FindIAM returns the temporary instance profiles and roles to be swept, in
// the order of removal.
func FindIAM(ctx context.Context, api IAM, choice Choice, now time.Time) ([]Resource, error) {
	var all []Resource
	profiles := iam.NewListInstanceProfilesPaginator(api, &iam.ListInstanceProfilesInput{})
	for profiles.HasMorePages() {
		page, err := profiles.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for each %s: %w", InstanceProfile, err)
		}
		for _, p := range page.InstanceProfiles {
			all = append(all, Resource{Kind: InstanceProfile, ID: aws.ToString(p.InstanceProfileName), Since: p.CreateDate})
		}
	}
	roles := iam.NewListRolesPaginator(api, &iam.ListRolesInput{})
	for roles.HasMorePages() {
		page, err := roles.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for each %s: %w", Role, err)
		}
		for _, r := range page.Roles {
			all = append(all, Resource{Kind: Role, ID: aws.ToString(r.RoleName), Since: r.CreateDate})
		}
	}
	var found []Resource
	var failures []error
	for _, r := range all {
		if !strings.HasPrefix(r.ID, temporaryPrefix) {
			continue
		}
		r.Region = Global
		r, there, err := iamAgain(ctx, api, r)
		if err != nil {
			failures = append(failures, fmt.Errorf("reading the tags of %s: %w", r.ID, err))
		}
		if there && choice.takes(r, now) {
			found = append(found, r)
		}
	}
	return found, errors.Join(failures...)
}

// iamAgain returns the resource with its tags as they are now, or false if it
// is gone.
func iamAgain(ctx context.Context, api IAM, r Resource) (Resource, bool, error) {
	var list []types.Tag // which the lists leave out
	var err error
	if r.Kind == Role {
		var out *iam.GetRoleOutput
		if out, err = api.GetRole(ctx, &iam.GetRoleInput{RoleName: &r.ID}); err == nil {
			list = out.Role.Tags
		}
	} else {
		var out *iam.GetInstanceProfileOutput
		if out, err = api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &r.ID}); err == nil {
			list = out.InstanceProfile.Tags
		}
	}
	if ec2api.Code(err) == "NoSuchEntity" {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	return r.labelled(func(key string) string {
		for _, t := range list {
			if aws.ToString(t.Key) == key {
				return aws.ToString(t.Value)
			}
		}
		return ""
	}), true, nil
}

// removeIAM empties and deletes a profile or a role.
func removeIAM(ctx context.Context, api IAM, r Resource) error {
	err := emptyIAM(ctx, api, r)
	if err == nil && r.Kind == Role {
		_, err = api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &r.ID})
	} else if err == nil {
		_, err = api.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: &r.ID})
	}
	if ec2api.Code(err) == "NoSuchEntity" {
		return nil
	}
	return err
}

func emptyIAM(ctx context.Context, api IAM, r Resource) error {
	if r.Kind == Role {
		policies, err := api.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &r.ID})
		if err != nil {
			return err
		}
		for _, name := range policies.PolicyNames {
			if _, err := api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &r.ID, PolicyName: &name}); err != nil {
				return err
			}
		}
		return nil
	}
	profile, err := api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &r.ID})
	if err != nil {
		return err
	}
	for _, role := range profile.InstanceProfile.Roles {
		if _, err := api.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &r.ID, RoleName: role.RoleName}); err != nil {
			return err
		}
	}
	return nil
}

// iamCommand is the AWS CLI's, of what a build makes: a profile, a role and an
// inline policy of one name.
func iamCommand(r Resource) string {
	if r.Kind == Role {
		return fmt.Sprintf("aws iam delete-role-policy --role-name %[1]s --policy-name %[1]s; aws iam delete-role --role-name %[1]s", r.ID)
	}
	return fmt.Sprintf("aws iam remove-role-from-instance-profile --instance-profile-name %[1]s --role-name %[1]s; "+
		"aws iam delete-instance-profile --instance-profile-name %[1]s", r.ID)
}
