// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Rollout is a template to roll out, and what its publication knows.
type Rollout struct {
	Body []byte
	// Version is that of the template, and Parameters tells whether SSM parameters have
	// been set to it too. Messages name them.
	Version    string
	Parameters bool
	// Overridden has the names of the parameters that this or an earlier publication
	// overrides in single stacks. Other overrides are not ours.
	Overridden []string
	History    History
}

// published names what has the new version before the stack set, with its verb.
func (r Rollout) published() string {
	if r.Parameters {
		return "latest and the parameters are"
	}
	return "latest is"
}

// History knows the templates that the set had.
type History interface {
	// LastTemplate returns the SHA-256 of the template that the last complete
	// publication gave the set; empty if that is unknown.
	LastTemplate(ctx context.Context) (string, error)
	// PreviousTemplate returns the URL of the template to restore; empty if there is
	// none. text is the set's template as CloudFormation returns it, or empty if the set
	// had the new template already.
	PreviousTemplate(ctx context.Context, text string) (url string, err error)
}

// RollOut updates the set to the template that Check has checked, and its instances
// stage by stage. It does nothing if nothing has changed.
func (s *Set) RollOut(ctx context.Context, rollout Rollout) error {
	s.rollout = rollout
	if s.before == nil {
		if err := s.createSet(ctx); err != nil {
			return err
		}
	}
	why := ""
	if s.before != nil {
		if !isASCII(string(rollout.Body)) {
			var err error
			if s.last, err = rollout.History.LastTemplate(ctx); err != nil {
				return err
			}
		}
		why = s.differs(rollout.Body)
	}
	changes := why != ""
	for _, regions := range s.Stages() {
		err := s.setOverrides(ctx, regions, false)
		var there []types.StackInstanceSummary
		if err == nil {
			there, err = s.instances(ctx)
		}
		if err == nil {
			err = s.stage(ctx, regions, there, &why)
		}
		if err == nil && changes {
			err = s.setOverrides(ctx, regions, true)
		}
		if err != nil {
			return s.restore(ctx, why == "", err)
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := s.deployAutomatically(ctx); err != nil {
		return err
	}
	except, err := s.reportExceptions(ctx)
	if err != nil {
		return err
	}
	s.call.Sayf("stack set %s: done in %s%s", s.Name, strings.Join(slices.Concat(s.Stages()...), ", "), except)
	return nil
}

// settle updates all instances once more if some are not current: a stage can
// leave the instances of another stage outdated.
func (s *Set) settle(ctx context.Context) error {
	there, err := s.instances(ctx)
	if err != nil {
		return err
	}
	var all []types.StackInstanceSummary
	current := true
	for _, i := range there {
		if s.wants(i) && slices.Contains(s.Regions, aws.ToString(i.Region)) && i.Status != types.StackInstanceStatusInoperable {
			all = append(all, i)
			current = current && i.Status == types.StackInstanceStatusCurrent
		}
	}
	if current {
		return nil
	}
	for _, b := range s.blocks(all) {
		if err := s.update(ctx, "", b); err != nil {
			return err
		}
	}
	return nil
}

// stage creates the missing instances of some regions, and updates those that are
// not current. The first update also changes the set itself, for the reason in why,
// and clears why.
func (s *Set) stage(ctx context.Context, regions []string, there []types.StackInstanceSummary, why *string) error {
	var stale []types.StackInstanceSummary
	have := map[string][]string{} // region: the accounts or units that have instances
	for _, i := range there {
		region := aws.ToString(i.Region)
		if !slices.Contains(regions, region) || !s.wants(i) {
			continue
		}
		have[region] = append(have[region], aws.ToString(i.Account), aws.ToString(i.OrganizationalUnitId))
		switch {
		case i.Status == types.StackInstanceStatusInoperable:
			s.call.Sayf("stack set %s: the instance of %s in %s is inoperable and was skipped: delete it", s.Name, aws.ToString(i.Account), region)
		case *why != "" || i.Status != types.StackInstanceStatusCurrent:
			stale = append(stale, i)
		}
	}
	for _, b := range s.blocks(stale) {
		if err := s.change(ctx, why, b); err != nil {
			return err
		}
	}
	if *why != "" && len(there) == 0 {
		// Without instances, only the set is updated.
		if err := s.change(ctx, why, block{}); err != nil {
			return err
		}
	}
	lack := map[string][]string{} // region: the accounts or units without an instance
	for _, region := range regions {
		for _, target := range slices.Concat(s.Accounts, s.OrganizationalUnits) {
			if !slices.Contains(have[region], target) {
				lack[region] = append(lack[region], target)
			}
		}
	}
	missing, err := s.creations(regions, lack)
	if err != nil {
		return err
	}
	for _, c := range missing {
		if err := s.create(ctx, c, *why == ""); err != nil {
			return err
		}
	}
	if *why == "" {
		return nil
	}
	// Until now only other stages had instances, so the set was not updated, and
	// the new instances have the old template.
	return s.change(ctx, why, block{regions, slices.Concat(s.Accounts, s.OrganizationalUnits)})
}

// change updates the set for the reason in why, and clears why: the set has changed
// even if the operation fails.
func (s *Set) change(ctx context.Context, why *string, b block) error {
	reason := *why
	*why = ""
	return s.update(ctx, reason, b)
}

// createSet creates the set, without instances.
func (s *Set) createSet(ctx context.Context) error {
	s.call.Sayf("stack set %s: creating it in %s", s.Name, s.Region)
	model := types.PermissionModels(s.PermissionModel)
	in := &cloudformation.CreateStackSetInput{
		StackSetName: &s.Name, TemplateURL: &s.url, Parameters: s.parameters(s.Parameters), Capabilities: s.capabilities(),
		AdministrationRoleARN: orNil(s.AdministrationRoleARN), ExecutionRoleName: orNil(s.ExecutionRoleName),
		PermissionModel: model, CallAs: types.CallAs(s.CallAs), ManagedExecution: s.managed(),
	}
	if model == types.PermissionModelsServiceManaged {
		auto := AutoDeployment{}
		if s.AutoDeployment != nil {
			auto = *s.AutoDeployment
		}
		in.AutoDeployment = auto.request()
	}
	_, err := s.api.CreateStackSet(ctx, in)
	var there *types.NameAlreadyExistsException
	if !errors.As(err, &there) {
		return s.explain(err, "cloudformation:CreateStackSet")
	}
	// Another build has created it in the meantime.
	if s.before, err = s.describe(ctx); err != nil {
		return err
	}
	return s.fitsSet()
}

// update updates the set, for the reason why, and its instances in some regions.
// Without a reason it uses the set's own template and parameters, which leaves all
// other instances unchanged.
func (s *Set) update(ctx context.Context, why string, b block) error {
	in := &cloudformation.UpdateStackSetInput{
		StackSetName: &s.Name, Capabilities: s.capabilities(), CallAs: types.CallAs(s.CallAs), ManagedExecution: s.managed(),
		AdministrationRoleARN: orNil(s.AdministrationRoleARN), ExecutionRoleName: orNil(s.ExecutionRoleName),
		OperationPreferences: s.preferences(b.regions), Regions: b.regions,
	}
	if why == "" {
		in.UsePreviousTemplate, in.Parameters = aws.Bool(true), s.unchangedParameters()
		why = "instances that are not current"
	} else {
		in.TemplateURL, in.Parameters = &s.url, s.parameters(s.Parameters)
	}
	s.aim(in, b.targets)
	s.call.Sayf("stack set %s: updating in %s: %s", s.Name, listOr(b.regions, "no region, because it has no instances there yet"), why)
	return s.updateSet(ctx, in)
}

// updateSet carries out an update.
func (s *Set) updateSet(ctx context.Context, in *cloudformation.UpdateStackSetInput) error {
	return s.operate(ctx, "cloudformation:UpdateStackSet", func(id *string) (*string, error) {
		in.OperationId = id
		out, err := s.api.UpdateStackSet(ctx, in)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
}

// aim sets the targets of an update. Without regions an update applies to every
// instance; it is used only if there are none.
func (s *Set) aim(in *cloudformation.UpdateStackSetInput, targets []string) {
	switch {
	case len(in.Regions) == 0:
	case len(s.OrganizationalUnits) > 0:
		in.DeploymentTargets = &types.DeploymentTargets{OrganizationalUnitIds: targets}
	default:
		in.Accounts = targets
	}
}

// unchangedParameters returns the parameters with the values that the set has.
func (s *Set) unchangedParameters() []types.Parameter {
	var list []types.Parameter
	for _, p := range s.takes {
		if _, given := s.Parameters[aws.ToString(p.ParameterKey)]; given || s.has(aws.ToString(p.ParameterKey)) {
			list = append(list, types.Parameter{ParameterKey: p.ParameterKey, UsePreviousValue: aws.Bool(true)})
		}
	}
	return list
}

func listOr(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}
