// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// operationTimeout is how long one operation may take, and how long to wait for
// another one before it.
const operationTimeout = 2 * time.Hour

// Caller retries calls, and prints progress.
type Caller interface {
	// Sayf prints a line.
	Sayf(format string, args ...any)
	// Until calls done until it returns true. It returns the error of done, or a
	// *poll.TimeoutError.
	Until(ctx context.Context, timeout time.Duration, what string, done func(context.Context) (bool, error)) error
	// Again retries a call while its error is transient.
	Again(ctx context.Context, what string, try func() error) error
	// CLI is the start of AWS CLI commands in messages.
	CLI() string
}

// Set is a stack set in AWS, which may not exist yet.
type Set struct {
	*Config
	api     *cloudformation.Client
	call    Caller
	url     string                    // of the template to roll out
	takes   []types.TemplateParameter // of the template to roll out
	before  *types.StackSet           // nil if the set does not exist
	last    string                    // the SHA-256 of its template, from our record; empty if unknown
	rollout Rollout

	changedOverrides []overrideChange // by this roll-out
}

// New returns a set. The client is that of the set's region.
func New(c *Config, api *cloudformation.Client, call Caller) *Set {
	return &Set{Config: c, api: api, call: call}
}

// Check checks a roll-out before any visible change: the template at the URL is valid,
// its requirements are met, the set is as expected, and no other operation is in
// progress.
func (s *Set) Check(ctx context.Context, url string) error {
	s.url = url
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
	return s.awaitOthers(ctx)
}

// Template returns the set's template as CloudFormation returns it, see Alike; false if
// the set does not exist.
func (s *Set) Template(ctx context.Context) (text string, exists bool, err error) {
	set, err := s.describe(ctx)
	if err != nil || set == nil {
		return "", false, err
	}
	return aws.ToString(set.TemplateBody), true, nil
}

// fits reports everything that the template requires and the configuration lacks.
func (s *Set) fits(needs []types.Capability) error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("stack set %s: "+format, append([]any{s.Name}, args...)...))
	}
	for _, c := range needs {
		named := c == types.CapabilityCapabilityIam && slices.Contains(s.Capabilities, string(types.CapabilityCapabilityNamedIam))
		if !slices.Contains(s.Capabilities, string(c)) && !named {
			fail("the template needs %s: add it to capabilities", c)
		}
	}
	var known, missing, foreign []string
	for _, p := range s.takes {
		key := aws.ToString(p.ParameterKey)
		known = append(known, key)
		if _, given := s.Parameters[key]; !given && p.DefaultValue == nil && !s.has(key) {
			missing = append(missing, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Parameters)) {
		if !slices.Contains(known, key) {
			foreign = append(foreign, strconv.Quote(key))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		also := ""
		if slices.ContainsFunc(missing, func(key string) bool { return slices.Contains(s.Overridden(), key) }) {
			also = "; an override replaces the value of the stack set, which CloudFormation requires too"
		}
		fail("parameters without a default and without a value: %s; set them in parameters%s", strings.Join(missing, ", "), also)
	}
	var unknown []string
	for _, o := range s.Overrides {
		for _, key := range slices.Sorted(maps.Keys(o.Values)) {
			if !slices.Contains(known, key) {
				unknown = append(unknown, strconv.Quote(key))
			}
		}
	}
	if len(unknown) > 0 {
		fail("parameter_overrides has %s, which the template does not declare; want any of %s", strings.Join(unique(unknown), ", "), listOr(known, "none"))
	}
	if len(foreign) > 0 {
		fail("parameters has %s, which the template does not declare; want any of %s", strings.Join(foreign, ", "), listOr(known, "none"))
	}
	if err := s.fitsSet(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// fitsSet compares the configuration with the existing set.
func (s *Set) fitsSet() error {
	if s.before == nil {
		return nil
	}
	model := types.PermissionModels(s.PermissionModel)
	if model != "" && s.before.PermissionModel != "" && model != s.before.PermissionModel {
		return fmt.Errorf("stack set %s: its permission model is %s, not %s; a set with instances cannot change it: fix permission_model, or set another name", s.Name, s.before.PermissionModel, model)
	}
	if s.before.Status == types.StackSetStatusDeleted {
		return fmt.Errorf("stack set %s: it has been deleted", s.Name)
	}
	return nil
}

// has reports whether the set has a value for a parameter.
func (s *Set) has(key string) bool {
	return s.before != nil && slices.ContainsFunc(s.before.Parameters, func(p types.Parameter) bool { return aws.ToString(p.ParameterKey) == key })
}

// describe returns the set; nil if it does not exist.
func (s *Set) describe(ctx context.Context) (*types.StackSet, error) {
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

// hidden is what CloudFormation returns as the value of a NoEcho parameter.
const hidden = "****"

// parameters returns the parameters to send. CloudFormation requires all of them
// each time: those that are not given keep their value or take the default.
func (s *Set) parameters(given map[string]string) []types.Parameter {
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

// hasTemplate reports whether the set has a template. If CloudFormation does not
// return it exactly, our record of the last publication decides.
func (s *Set) hasTemplate(body []byte) bool {
	now := aws.ToString(s.before.TemplateBody)
	if sameText(now, string(body)) {
		return true
	}
	sum := sha256.Sum256(body)
	return Alike(now, string(body)) && s.last == hex.EncodeToString(sum[:])
}

// differs returns why the set must be updated; empty if it need not be.
func (s *Set) differs(body []byte) string {
	b := s.before
	sorted := func(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ",") }
	var has []string
	for _, c := range b.Capabilities {
		has = append(has, string(c))
	}
	switch {
	case !s.hasTemplate(body):
		return "the template has changed"
	case sorted(has) != sorted(s.Capabilities):
		return "the capabilities have changed"
	case s.AdministrationRoleARN != "" && s.AdministrationRoleARN != aws.ToString(b.AdministrationRoleARN):
		return "the administration role has changed"
	case s.ExecutionRoleName != "" && s.ExecutionRoleName != aws.ToString(b.ExecutionRoleName):
		return "the execution role has changed"
	case s.ManagedExecution != (b.ManagedExecution != nil && aws.ToBool(b.ManagedExecution.Active)):
		return "managed execution has changed"
	}
	for _, key := range slices.Sorted(maps.Keys(s.Parameters)) {
		i := slices.IndexFunc(b.Parameters, func(p types.Parameter) bool { return aws.ToString(p.ParameterKey) == key })
		if i < 0 {
			return "it has no value for parameter " + key
		}
		// A hidden value cannot be compared; it is sent with the next template.
		if now := aws.ToString(b.Parameters[i].ParameterValue); now != hidden && now != s.Parameters[key] {
			return "parameter " + key + " has changed"
		}
	}
	return ""
}

// preferences returns the preferences for an operation in some regions.
func (s *Set) preferences(regions []string) *types.StackSetOperationPreferences {
	p := s.Preferences
	order := slices.DeleteFunc(slices.Clone(p.RegionOrder), func(r string) bool { return !slices.Contains(regions, r) })
	if len(order) != len(regions) {
		order = nil // CloudFormation requires all or none of them; a set can have more
	}
	return &types.StackSetOperationPreferences{
		RegionOrder: order, RegionConcurrencyType: types.RegionConcurrencyType(p.RegionConcurrencyType), ConcurrencyMode: types.ConcurrencyMode(p.ConcurrencyMode),
		FailureToleranceCount: p.FailureToleranceCount, FailureTolerancePercentage: p.FailureTolerancePercentage,
		MaxConcurrentCount: p.MaxConcurrentCount, MaxConcurrentPercentage: p.MaxConcurrentPercentage,
	}
}

func (s *Set) managed() *types.ManagedExecution {
	return &types.ManagedExecution{Active: aws.Bool(s.ManagedExecution)}
}

func (s *Set) capabilities() (list []types.Capability) {
	for _, c := range s.Capabilities {
		list = append(list, types.Capability(c))
	}
	return list
}

func (s *Set) limit() time.Duration {
	if s.Timeout == 0 {
		return operationTimeout
	}
	return s.Timeout
}

func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// awaitOthers waits until no other operation of the set is in progress.
func (s *Set) awaitOthers(ctx context.Context) error {
	told := ""
	err := s.call.Until(ctx, s.limit(), "the stack set "+s.Name, func(ctx context.Context) (bool, error) {
		busy, err := s.inProgress(ctx)
		if err != nil || len(busy) == 0 {
			return err == nil, err
		}
		if id := aws.ToString(busy[0].OperationId); id != told {
			told = id
			s.call.Sayf("stack set %s: waiting for operation %s (%s), which is %s", s.Name, id, busy[0].Action, busy[0].Status)
		}
		return false, nil
	})
	var timeout *poll.TimeoutError
	if errors.As(err, &timeout) {
		return awsclient.Explain(err, "stack set %s: operation %s is still in progress after %s: wait for it, or stop it:\n  %s", s.Name, told, s.limit(), s.stopCommand(told))
	}
	return err
}

// stopCommand returns the command that stops an operation.
func (s *Set) stopCommand(id string) string {
	return fmt.Sprintf("%s cloudformation stop-stack-set-operation --region %s --stack-set-name %s --operation-id %s%s", s.call.CLI(), s.Region, s.Name, id, s.callAs())
}

// operate starts an operation and waits for its end.
func (s *Set) operate(ctx context.Context, need string, start func(id *string) (*string, error)) error {
	id, err := s.begin(ctx, need, start)
	if err != nil {
		return err
	}
	return s.await(ctx, id)
}

// begin starts an operation, and waits while another is in progress. All attempts
// use the same id, so that a retry finds an operation whose response was lost.
func (s *Set) begin(ctx context.Context, need string, start func(id *string) (*string, error)) (string, error) {
	id, told := operationID(), false
	err := s.call.Until(ctx, s.limit(), "the stack set "+s.Name, func(context.Context) (bool, error) {
		out, err := start(&id)
		var begun *types.OperationIdAlreadyExistsException
		if errors.As(err, &begun) {
			return true, nil
		}
		var busy *types.OperationInProgressException
		if errors.As(err, &busy) {
			if !told {
				told = true
				s.call.Sayf("stack set %s: another operation is in progress; retrying for up to %s", s.Name, s.limit())
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
		return "", awsclient.Explain(err, "stack set %s: another operation is still in progress after %s: run this again after it has ended", s.Name, s.limit())
	}
	if err != nil && ctx.Err() != nil {
		return "", s.cancelled(err, id, "may have started")
	}
	if err != nil {
		return "", s.explain(err, need)
	}
	return id, nil
}

// operationID returns a new operation id.
func operationID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return "ethminer-" + hex.EncodeToString(b)
}

// explain explains an error from CloudFormation.
func (s *Set) explain(err error, need string) error {
	if err == nil || awsclient.IsExplained(err) {
		return err
	}
	switch awsclient.Code(err) {
	case "InsufficientCapabilitiesException":
		return awsclient.Explain(err, "stack set %s: the template needs more capabilities", s.Name)
	case "StackInstanceNotFoundException":
		if len(s.OrganizationalUnits) > 0 {
			return awsclient.Explain(err, "stack set %s: an account of the organizational units has no stack, such as one that joined them later: set enabled of auto_deployment to true, or create its stacks with create-stack-instances", s.Name)
		}
	case "LimitExceededException":
		return awsclient.Explain(err, "stack set %s: the account has reached a CloudFormation quota: request an increase in Service Quotas", s.Name)
	}
	if err = awsclient.Denied(err, need, s.Region); !awsclient.IsExplained(err) {
		err = fmt.Errorf("stack set %s in %s: %w", s.Name, s.Region, err)
	}
	return err
}
