// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

type iamOption = func(*iam.Options)

// IAM holds the requests for removing an instance profile and its role.
type IAM interface {
	GetRole(context.Context, *iam.GetRoleInput, ...iamOption) (*iam.GetRoleOutput, error)
	GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...iamOption) (*iam.GetInstanceProfileOutput, error)
	ListRolePolicies(context.Context, *iam.ListRolePoliciesInput, ...iamOption) (*iam.ListRolePoliciesOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...iamOption) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteInstanceProfile(context.Context, *iam.DeleteInstanceProfileInput, ...iamOption) (*iam.DeleteInstanceProfileOutput, error)
	DeleteRolePolicy(context.Context, *iam.DeleteRolePolicyInput, ...iamOption) (*iam.DeleteRolePolicyOutput, error)
	DeleteRole(context.Context, *iam.DeleteRoleInput, ...iamOption) (*iam.DeleteRoleOutput, error)
}

// IAMTags returns the tags of a role or an instance profile.
func IAMTags(ctx context.Context, c IAM, e Entry) (map[string]string, error) {
	name := e.Label()
	var list []types.Tag
	if e.Kind == Role {
		out, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
		if err != nil {
			return nil, err
		}
		list = out.Role.Tags
	} else {
		out, err := c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
		if err != nil {
			return nil, err
		}
		list = out.InstanceProfile.Tags
	}
	tags := map[string]string{}
	for _, t := range list {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// deleteProfile removes the roles from an instance profile and deletes it. A
// build's role has the name of the profile; others are looked up only if they
// prevent the deletion.
func deleteProfile(ctx context.Context, c IAM, name string) error {
	detach := func(role string) error {
		_, err := c.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &name, RoleName: &role})
		return except(err, awsclient.IsNotFound)
	}
	if err := detach(name); err != nil {
		return err
	}
	del := func() error {
		_, err := c.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: &name})
		return err
	}
	conflict := del()
	if !isHeld(conflict) {
		return conflict
	}
	out, err := c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
	if err != nil || len(out.InstanceProfile.Roles) == 0 {
		return conflict
	}
	for _, role := range out.InstanceProfile.Roles {
		if err := detach(aws.ToString(role.RoleName)); err != nil {
			return err
		}
	}
	return del()
}

// deleteRole deletes a role with its inline policies. A build's policy has the
// name of the role; others are looked up only if they prevent the deletion.
func deleteRole(ctx context.Context, c IAM, name string) error {
	empty := func(policy string) error {
		_, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &policy})
		return except(err, awsclient.IsNotFound)
	}
	if err := empty(name); err != nil {
		return err
	}
	del := func() error {
		_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
		return err
	}
	conflict := del()
	if !isHeld(conflict) {
		return conflict
	}
	out, err := c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &name})
	if err != nil || len(out.PolicyNames) == 0 {
		return conflict
	}
	for _, policy := range out.PolicyNames {
		if err := empty(policy); err != nil {
			return err
		}
	}
	return del()
}

// except returns err unless it is harmless.
func except(err error, harmless func(error) bool) error {
	if harmless(err) {
		return nil
	}
	return err
}
