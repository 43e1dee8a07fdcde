// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// InstanceProfile provides the instance profile: the user's, or a temporary
// one whose role has the user's policy. Profile, role and policy share a name that
// the build chooses, so that a request whose response was lost can be retried and
// its result adopted.
//
// EC2 finds a new profile some seconds after IAM. The launch waits for it.
type InstanceProfile struct {
	name string // of the temporary profile, empty until it may exist
}

// ec2Trust is the trust policy that lets EC2 instances assume a role.
const ec2Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func (*InstanceProfile) Facts() (needs, yields []Fact) { return nil, facts(Profile) }

func (s *InstanceProfile) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	c := b.Config
	state.Put(keyProfile, c.IamInstanceProfile)
	switch {
	case c.IamInstanceProfile != "" && c.SkipProfileValidation:
		return multistep.ActionContinue
	case c.IamInstanceProfile != "":
		if err := b.checkProfile(ctx, c.IamInstanceProfile); err != nil {
			return Halt(state, "iam_instance_profile: %w", err)
		}
		return multistep.ActionContinue
	case c.TemporaryIamInstanceProfilePolicyDocument == nil:
		return multistep.ActionContinue
	}
	if err := s.create(ctx, state); err != nil {
		return Halt(state, "temporary_iam_instance_profile_policy_document: %w", err)
	}
	state.Put(keyProfile, s.name)
	return multistep.ActionContinue
}

// checkProfile looks up the user's profile.
func (b *Build) checkProfile(ctx context.Context, name string) error {
	err := b.Patience.Do(ctx, func(error, time.Duration) {}, func() error {
		_, err := b.Clients.IAM().GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
		return err
	})
	switch {
	case awsclient.IsNotFound(err):
		return fmt.Errorf("got %q, want the name of an instance profile in the account; create it or correct the name", name)
	case awsclient.IsUnauthorized(err):
		return fmt.Errorf("looking up %q: %w, or set skip_profile_validation = true", name, err)
	case err != nil:
		return fmt.Errorf("looking up %q: %w", name, err)
	}
	return nil
}

// create creates the temporary profile, its role and the role's policy.
func (s *InstanceProfile) create(ctx context.Context, state multistep.StateBag) error {
	b, ui := BuildOf(state), UIOf(state)
	policy, err := json.Marshal(b.Config.TemporaryIamInstanceProfilePolicyDocument)
	if err != nil {
		return fmt.Errorf("encoding the policy: %w", err)
	}
	labels, err := awscommon.TagMap(b.Config.RunTags).IamTags(b.Config.Interpolation(), b.Clients.Region(), state)
	if err != nil {
		return fmt.Errorf("rendering the tags of the instance profile: %w", err)
	}
	s.name = cleanup.TemporaryPrefix + uuid.TimeOrderedUUID()
	client := b.Clients.IAM()
	ui.Sayf("Creating temporary instance profile for this instance: %s", s.name)
	if err := b.createGlobal(ctx, cleanup.InstanceProfile, s.name, func(ctx context.Context) error {
		_, err := client.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &s.name, Tags: labels}, awsclient.OneTryIAM)
		return err
	}); err != nil {
		return fmt.Errorf("creating instance profile %s: %w", s.name, err)
	}
	ui.Sayf("Creating temporary role for this instance: %s", s.name)
	if err := b.createGlobal(ctx, cleanup.Role, s.name, func(ctx context.Context) error {
		_, err := client.CreateRole(ctx, roleInput(s.name, labels), awsclient.OneTryIAM)
		return err
	}); err != nil {
		return fmt.Errorf("creating role %s: %w", s.name, err)
	}
	ui.Sayf("Attaching policy to the temporary role: %s", s.name)
	if err := b.untilDone(ctx, "role "+s.name, func(ctx context.Context) error {
		_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &s.name, PolicyName: &s.name, PolicyDocument: aws.String(string(policy))})
		return err
	}); err != nil {
		return fmt.Errorf("attaching the policy to role %s: %w", s.name, err)
	}
	if err := b.untilDone(ctx, "instance profile "+s.name, func(ctx context.Context) error {
		_, err := client.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{RoleName: &s.name, InstanceProfileName: &s.name})
		if awsclient.Code(err) == "LimitExceeded" {
			return nil // a profile has one role, and only this build uses the profile: a lost request has added it
		}
		return err
	}); err != nil {
		return fmt.Errorf("adding role %[1]s to instance profile %[1]s: %w", s.name, err)
	}
	return nil
}

func roleInput(name string, labels []types.Tag) *iam.CreateRoleInput {
	return &iam.CreateRoleInput{
		RoleName: &name, Description: aws.String("Temporary role for Packer"), AssumeRolePolicyDocument: aws.String(ec2Trust), Tags: labels,
	}
}

// createGlobal creates a profile or a role. If it exists already, it is adopted
// only if this build owns it.
func (b *Build) createGlobal(ctx context.Context, kind cleanup.Kind, name string, call func(context.Context) error) error {
	entry := cleanup.Entry{Kind: kind, Region: cleanup.Global, Name: name}
	b.ledger.Add(entry)
	lost := false
	for try := 1; ; try++ {
		err := b.create(ctx, call)
		if awsclient.IsUnanswered(err) {
			if lost = true; try < lostResponses && ctx.Err() == nil {
				continue
			}
		}
		if awsclient.Code(err) == "EntityAlreadyExists" && (lost || b.owns(ctx, entry)) {
			err = nil
		}
		switch {
		case err == nil:
			entry.ID = name
			b.ledger.Add(entry)
			err = ctx.Err()
		case !lost:
			b.ledger.Strike(entry) // the request was refused
		}
		return err
	}
}

// owns reports whether a profile or a role has the id of this build.
func (b *Build) owns(ctx context.Context, entry cleanup.Entry) bool {
	var labels map[string]string
	err := b.untilDone(ctx, entry.Name, func(ctx context.Context) (err error) {
		labels, err = cleanup.IAMTags(ctx, b.Clients.IAM(), entry)
		return err
	})
	return err == nil && labels[tags.BuildID] == b.Config.ID()
}

// untilDone retries an idempotent request until it succeeds. IAM may not find new
// resources yet, and responses may be lost.
func (b *Build) untilDone(ctx context.Context, what string, call func(context.Context) error) error {
	var last error
	err := b.settles().Until(ctx, what, func(ctx context.Context) (bool, error) {
		last = call(ctx)
		if awsclient.IsTransient(last) && ctx.Err() == nil {
			return false, nil
		}
		return last == nil, last
	})
	if err != nil && last != nil && ctx.Err() == nil {
		return last
	}
	return err
}

// Cleanup removes the created resources, the profile first, as it uses the role.
func (s *InstanceProfile) Cleanup(state multistep.StateBag) {
	if s.name == "" {
		return
	}
	b, ui := BuildOf(state), UIOf(state)
	var made []cleanup.Entry
	for _, entry := range b.ledger.Left() {
		if entry.Region == cleanup.Global && entry.Name == s.name {
			made = append(made, entry)
		}
	}
	if s.name = ""; len(made) == 0 {
		return
	}
	ui.Say("Deleting temporary instance profile and role...")
	b.removeTemporary(ui, made...)
}
