// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// stackSetTimeout is how long one operation may take, and another's before it.
const stackSetTimeout = 2 * time.Hour

// stackSetState is what the stack set is before the roll-out.
type stackSetState struct {
	*StackSet
	api    *cloudformation.Client
	url    string                    // of the plan's template
	takes  []types.TemplateParameter // that the plan's template has
	before *types.StackSet           // nil: there is none yet
}

// checkStackSet asks all that can be known of the roll-out before anything that
// others see changes: whether the template is valid, what it needs, what the
// set is now, and that no other operation is under way.
func (r *run) checkStackSet(ctx context.Context) error {
	if r.plan.StackSet == nil {
		return nil
	}
	s := &stackSetState{StackSet: r.plan.StackSet, url: r.plan.Places[0].URL}
	s.api = r.Clients.CloudFormation(s.Region)
	for _, at := range r.plan.Places {
		if at.Region == s.Region {
			s.url = at.URL
		}
	}
	r.set = s
	valid, err := s.api.ValidateTemplate(ctx, &cloudformation.ValidateTemplateInput{TemplateURL: &s.url})
	if err != nil {
		return s.explain(err, "cloudformation:ValidateTemplate")
	}
	s.takes = valid.Parameters
	if s.before, err = s.describe(ctx); err != nil {
		return err
	}
	if err := s.fits(valid.Capabilities); err != nil {
		return err
	}
	if s.before == nil || s.ManagedExecution {
		return nil
	}
	return r.awaitOthers(ctx)
}

// fits says what the template needs and the configuration does not give.
func (s *stackSetState) fits(needs []types.Capability) error {
	for _, c := range needs {
		named := c == types.CapabilityCapabilityIam && slices.Contains(s.Capabilities, string(types.CapabilityCapabilityNamedIam))
		if !slices.Contains(s.Capabilities, string(c)) && !named {
			return fmt.Errorf("stack set %s: the template needs %s: add it to capabilities", s.Name, c)
		}
	}
	var known []string
	for _, p := range s.takes {
		key := aws.ToString(p.ParameterKey)
		known = append(known, key)
		if _, given := s.Parameters[key]; given || p.DefaultValue != nil || s.has(key) {
			continue
		}
		return fmt.Errorf("stack set %s: the template's parameter %s has no default: set it in parameters", s.Name, key)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Parameters)) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("stack set %s: parameters has %s, and the template has only: %s", s.Name, key, strings.Join(known, ", "))
		}
	}
	if s.before == nil {
		return nil
	}
	model := types.PermissionModels(s.PermissionModel)
	if model != "" && s.before.PermissionModel != "" && model != s.before.PermissionModel {
		return fmt.Errorf("stack set %s: its permission model is %s, not %s; a set with instances cannot change it: mend permission_model, or take another name", s.Name, s.before.PermissionModel, model)
	}
	if s.before.Status == types.StackSetStatusDeleted {
		return fmt.Errorf("stack set %s: it is deleted", s.Name)
	}
	return nil
}

// has says whether the set has a value for a parameter.
func (s *stackSetState) has(key string) bool {
	return s.before != nil && slices.ContainsFunc(s.before.Parameters, func(p types.Parameter) bool { return aws.ToString(p.ParameterKey) == key })
}

// describe returns the set; nil if there is none.
func (s *stackSetState) describe(ctx context.Context) (*types.StackSet, error) {
	out, err := s.api.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: &s.Name, CallAs: types.CallAs(s.CallAs)})
	var none *types.StackSetNotFoundException
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain(err, "cloudformation:DescribeStackSet")
	}
	return out.StackSet, nil
}

// hidden is what CloudFormation shows of a NoEcho parameter's value.
const hidden = "****"

// parameters to send. CloudFormation wants all of them each time: those that
// are not given keep the value that they have, or take the default.
func (s *stackSetState) parameters(given map[string]string) []types.Parameter {
	var list []types.Parameter
	for _, p := range s.takes {
		key := aws.ToString(p.ParameterKey)
		if value, ok := given[key]; ok {
			list = append(list, types.Parameter{ParameterKey: &key, ParameterValue: &value})
		} else if s.has(key) {
			list = append(list, types.Parameter{ParameterKey: &key, UsePreviousValue: aws.Bool(true)})
		}
	}
	return list
}

// differs says why the set has to be updated; empty if it has not.
func (s *stackSetState) differs(body []byte) string {
	b := s.before
	sorted := func(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ",") }
	var has []string
	for _, c := range b.Capabilities {
		has = append(has, string(c))
	}
	switch {
	case !sameText(aws.ToString(b.TemplateBody), string(body)):
		return "its template is another"
	case sorted(has) != sorted(s.Capabilities):
		return "its capabilities are others"
	case s.AdministrationRoleARN != "" && s.AdministrationRoleARN != aws.ToString(b.AdministrationRoleARN):
		return "its administration role is another"
	case s.ExecutionRoleName != "" && s.ExecutionRoleName != aws.ToString(b.ExecutionRoleName):
		return "its execution role is another"
	case s.ManagedExecution != (b.ManagedExecution != nil && aws.ToBool(b.ManagedExecution.Active)):
		return "its managed execution is another"
	}
	for _, key := range slices.Sorted(maps.Keys(s.Parameters)) {
		i := slices.IndexFunc(b.Parameters, func(p types.Parameter) bool { return aws.ToString(p.ParameterKey) == key })
		if i < 0 {
			return "it has no value for the parameter " + key
		}
		// Whether a hidden value is another cannot be told: it is sent with the next template.
		if now := aws.ToString(b.Parameters[i].ParameterValue); now != hidden && now != s.Parameters[key] {
			return "its parameter " + key + " is another"
		}
	}
	return ""
}

// sameText compares templates, one of which has come as XML, which has no CR at
// the end of a line (https://www.w3.org/TR/xml/#sec-line-ends).
func sameText(a, b string) bool {
	plain := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
	return plain(a) == plain(b)
}

// preferences for an operation in some regions.
func (s *stackSetState) preferences(regions []string) *types.StackSetOperationPreferences {
	p := s.Preferences
	order := slices.DeleteFunc(slices.Clone(p.RegionOrder), func(r string) bool { return !slices.Contains(regions, r) })
	if len(order) != len(regions) {
		order = nil // CloudFormation wants all or none of them; a set can have more
	}
	return &types.StackSetOperationPreferences{
		RegionOrder: order, RegionConcurrencyType: types.RegionConcurrencyType(p.RegionConcurrencyType), ConcurrencyMode: types.ConcurrencyMode(p.ConcurrencyMode),
		FailureToleranceCount: p.FailureToleranceCount, FailureTolerancePercentage: p.FailureTolerancePercentage,
		MaxConcurrentCount: p.MaxConcurrentCount, MaxConcurrentPercentage: p.MaxConcurrentPercentage,
	}
}

func (s *stackSetState) managed() *types.ManagedExecution {
	return &types.ManagedExecution{Active: aws.Bool(s.ManagedExecution)}
}

func (s *stackSetState) capabilities() (list []types.Capability) {
	for _, c := range s.Capabilities {
		list = append(list, types.Capability(c))
	}
	return list
}

func (s *stackSetState) limit() time.Duration {
	if s.Timeout == 0 {
		return stackSetTimeout
	}
	return s.Timeout
}

func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// awaitOthers waits until no other operation of the set is under way.
func (r *run) awaitOthers(ctx context.Context) error {
	s, told := r.set, ""
	err := r.until(ctx, s.limit(), "the stack set "+s.Name, func(ctx context.Context) (bool, error) {
		out, err := s.api.ListStackSetOperations(ctx, &cloudformation.ListStackSetOperationsInput{StackSetName: &s.Name, CallAs: types.CallAs(s.CallAs)})
		if err != nil {
			return false, s.explain(err, "cloudformation:ListStackSetOperations")
		}
		for _, o := range out.Summaries { // the newest first
			switch o.Status {
			case types.StackSetOperationStatusRunning, types.StackSetOperationStatusQueued, types.StackSetOperationStatusStopping:
				if id := aws.ToString(o.OperationId); id != told {
					told = id
					r.sayf("stack set %s: waiting for operation %s (%s), which is %s", s.Name, id, o.Action, o.Status)
				}
				return false, nil
			}
		}
		return true, nil
	})
	var timeout *poll.TimeoutError
	if errors.As(err, &timeout) {
		return sayError(err, "stack set %s: operation %s is still under way after %s: wait for it, or end it with `aws cloudformation stop-stack-set-operation --stack-set-name %s --operation-id %s`", s.Name, told, s.limit(), s.Name, told)
	}
	return err
}

// begin starts an operation, and waits while another is under way. The id is
// the same in every try: should one have begun without an answer, the next says
// so.
func (r *run) begin(ctx context.Context, need string, start func(id *string) (*string, error)) (string, error) {
	s, id, told := r.set, operationID(), false
	err := r.until(ctx, s.limit(), "the stack set "+s.Name, func(context.Context) (bool, error) {
		out, err := start(&id)
		var begun *types.OperationIdAlreadyExistsException
		if errors.As(err, &begun) {
			return true, nil
		}
		var busy *types.OperationInProgressException
		if errors.As(err, &busy) {
			if !told {
				told = true
				r.sayf("stack set %s: another operation is in progress; trying again for up to %s", s.Name, s.limit())
			}
			return false, nil
		}
		if err == nil && out != nil {
			id = *out
		}
		return err == nil, err
	})
	var timeout *poll.TimeoutError
	if errors.As(err, &timeout) {
		return "", sayError(err, "stack set %s: another operation is still in progress after %s: run this again when it has ended", s.Name, s.limit())
	}
	if err != nil {
		return "", s.explain(err, need)
	}
	return id, nil
}

// operationID makes the id of an operation.
func operationID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return "ethminer-" + hex.EncodeToString(b)
}

// explain puts what CloudFormation answers into words.
func (s *stackSetState) explain(err error, need string) error {
	var already said
	if err == nil || errors.As(err, &already) {
		return err
	}
	switch ec2api.Code(err) {
	case "InsufficientCapabilitiesException":
		return sayError(err, "stack set %s: the template needs more capabilities", s.Name)
	case "LimitExceededException":
		return sayError(err, "stack set %s: the account is at a quota of CloudFormation: ask for more in Service Quotas", s.Name)
	}
	if err = refused(err, need, s.Region); !errors.As(err, &already) {
		err = fmt.Errorf("stack set %s in %s: %w", s.Name, s.Region, err)
	}
	return err
}
