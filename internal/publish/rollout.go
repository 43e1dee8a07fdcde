// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// rollOut updates the stack set to the template, and its instances stage by stage.
// It does nothing if nothing has changed.
func (r *run) rollOut(ctx context.Context) error {
	s := r.set
	if s == nil {
		return nil
	}
	if s.before == nil {
		if err := r.createSet(ctx); err != nil {
			return err
		}
	}
	why := ""
	if s.before != nil {
		if !isASCII(string(r.plan.Body)) {
			var err error
			if s.last, err = r.lastRolledOut(ctx); err != nil {
				return err
			}
		}
		why = s.differs(r.plan.Body)
	}
	changes := why != ""
	for _, regions := range r.plan.Stages {
		err := r.setOverrides(ctx, regions, false)
		var there []types.StackInstanceSummary
		if err == nil {
			there, err = r.instances(ctx)
		}
		if err == nil {
			err = r.stage(ctx, regions, there, &why)
		}
		if err == nil && changes {
			err = r.setOverrides(ctx, regions, true)
		}
		if err != nil {
			return r.restore(ctx, why == "", err)
		}
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.deployAutomatically(ctx); err != nil {
		return err
	}
	except, err := r.reportExceptions(ctx)
	if err != nil {
		return err
	}
	r.sayf("stack set %s: done in %s%s", s.Name, strings.Join(slices.Concat(r.plan.Stages...), ", "), except)
	return nil
}

// settle updates all instances once more if some are not current: a stage can
// leave the instances of another stage outdated.
func (r *run) settle(ctx context.Context) error {
	there, err := r.instances(ctx)
	if err != nil {
		return err
	}
	var all []types.StackInstanceSummary
	current := true
	for _, i := range there {
		if r.set.wants(i) && slices.Contains(r.set.Regions, aws.ToString(i.Region)) && i.Status != types.StackInstanceStatusInoperable {
			all = append(all, i)
			current = current && i.Status == types.StackInstanceStatusCurrent
		}
	}
	if current {
		return nil
	}
	for _, b := range r.set.blocks(all) {
		if err := r.update(ctx, "", b); err != nil {
			return err
		}
	}
	return nil
}

// stage creates the missing instances of some regions, and updates those that are
// not current. The first update also changes the set itself, for the reason in why,
// and clears why.
func (r *run) stage(ctx context.Context, regions []string, there []types.StackInstanceSummary, why *string) error {
	s := r.set
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
			r.sayf("stack set %s: the instance of %s in %s is inoperable and was skipped: delete it", s.Name, aws.ToString(i.Account), region)
		case *why != "" || i.Status != types.StackInstanceStatusCurrent:
			stale = append(stale, i)
		}
	}
	for _, b := range s.blocks(stale) {
		if err := r.change(ctx, why, b); err != nil {
			return err
		}
	}
	if *why != "" && len(there) == 0 {
		// Without instances, only the set is updated.
		if err := r.change(ctx, why, block{}); err != nil {
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
		if err := r.create(ctx, c, *why == ""); err != nil {
			return err
		}
	}
	if *why == "" {
		return nil
	}
	// Until now only other stages had instances, so the set was not updated, and
	// the new instances have the old template.
	return r.change(ctx, why, block{regions, slices.Concat(s.Accounts, s.OrganizationalUnits)})
}

// change updates the set for the reason in why, and clears why: the set has changed
// even if the operation fails.
func (r *run) change(ctx context.Context, why *string, b block) error {
	reason := *why
	*why = ""
	return r.update(ctx, reason, b)
}

// wants reports whether an instance belongs to the configured targets.
func (s *stackSetState) wants(i types.StackInstanceSummary) bool {
	if len(s.OrganizationalUnits) > 0 {
		return i.OrganizationalUnitId == nil || slices.Contains(s.OrganizationalUnits, *i.OrganizationalUnitId)
	}
	return slices.Contains(s.Accounts, aws.ToString(i.Account))
}

func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// createSet creates the set, without instances.
func (r *run) createSet(ctx context.Context) error {
	s := r.set
	r.sayf("stack set %s: creating it in %s", s.Name, s.Region)
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

// instances lists all instances of the set.
func (r *run) instances(ctx context.Context) ([]types.StackInstanceSummary, error) {
	return r.instancesOf(ctx, r.set)
}

func (*run) instancesOf(ctx context.Context, s *stackSetState) ([]types.StackInstanceSummary, error) {
	var all []types.StackInstanceSummary
	pages := cloudformation.NewListStackInstancesPaginator(s.api, &cloudformation.ListStackInstancesInput{
		StackSetName: &s.Name, CallAs: types.CallAs(s.CallAs), MaxResults: aws.Int32(100),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.explain(err, "cloudformation:ListStackInstances")
		}
		all = append(all, page.Summaries...)
	}
	return all, nil
}

// update updates the set, for the reason why, and its instances in some regions.
// Without a reason it uses the set's own template and parameters, which leaves all
// other instances unchanged.
func (r *run) update(ctx context.Context, why string, b block) error {
	s := r.set
	in := &cloudformation.UpdateStackSetInput{
		StackSetName: &s.Name, Capabilities: s.capabilities(), CallAs: types.CallAs(s.CallAs), ManagedExecution: s.managed(),
		AdministrationRoleARN: orNil(s.AdministrationRoleARN), ExecutionRoleName: orNil(s.ExecutionRoleName),
		OperationPreferences: s.preferences(b.regions), Regions: b.regions,
	}
	if why == "" {
		in.UsePreviousTemplate, in.Parameters = aws.Bool(true), s.again()
		why = "instances that are not current"
	} else {
		in.TemplateURL, in.Parameters = &s.url, s.parameters(s.Parameters)
	}
	s.aim(in, b.targets)
	r.sayf("stack set %s: updating in %s: %s", s.Name, listOr(b.regions, "no region, because it has no instances there yet"), why)
	return r.updateSet(ctx, in)
}

// updateSet carries out an update.
func (r *run) updateSet(ctx context.Context, in *cloudformation.UpdateStackSetInput) error {
	id, err := r.begin(ctx, "cloudformation:UpdateStackSet", func(id *string) (*string, error) {
		in.OperationId = id
		out, err := r.set.api.UpdateStackSet(ctx, in)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
	if err != nil {
		return err
	}
	return r.await(ctx, id)
}

// aim sets the targets of an update. Without regions an update applies to every
// instance; it is used only if there are none.
func (s *stackSetState) aim(in *cloudformation.UpdateStackSetInput, targets []string) {
	switch {
	case len(in.Regions) == 0:
	case len(s.OrganizationalUnits) > 0:
		in.DeploymentTargets = &types.DeploymentTargets{OrganizationalUnitIds: targets}
	default:
		in.Accounts = targets
	}
}

// again returns the parameters with the values that the set has.
func (s *stackSetState) again() []types.Parameter {
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
