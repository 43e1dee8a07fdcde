// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"go.yaml.in/yaml/v3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
)

// Forecast is Check for a template that is not uploaded yet. It prints what publishing
// waits for and what was not checked. Its error joins all problems.
func (s *Set) Forecast(ctx context.Context, body []byte) error {
	if _, limit := s.Concurrency(); limit != "" {
		s.call.Sayf("stack set %s: %s", s.Name, limit)
	}
	var unknown error
	s.before, unknown = s.describe(ctx)
	needs, err := s.validate(ctx, body)
	if err != nil {
		return errors.Join(unknown, err)
	}
	found := errors.Join(unknown, s.fits(needs))
	if s.before == nil {
		return found
	}
	_, err = s.instances(ctx)
	return errors.Join(found, err, s.forecastOperations(ctx))
}

// validate validates the template and stores the parameters that it declares. It
// returns the capabilities that it requires. A template that is too large for a
// request is only parsed here for its parameters.
func (s *Set) validate(ctx context.Context, body []byte) ([]types.Capability, error) {
	if len(body) > cfntemplate.MaxInline {
		list, err := declared(body)
		s.takes = list
		s.call.Sayf("stack set %s: template not validated: it has %d bytes, and a request accepts at most %d; CloudFormation validates it after the upload", s.Name, len(body), cfntemplate.MaxInline)
		return nil, err
	}
	valid, err := s.api.ValidateTemplate(ctx, &cloudformation.ValidateTemplateInput{TemplateBody: aws.String(string(body))})
	if err != nil {
		return nil, s.explain(err, "cloudformation:ValidateTemplate")
	}
	s.takes = valid.Parameters
	return valid.Capabilities, nil
}

// declared returns the parameters that a template declares.
func declared(body []byte) (list []types.TemplateParameter, err error) {
	var doc struct {
		Parameters map[string]map[string]yaml.Node `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("reading the template's parameters: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(doc.Parameters)) {
		p := types.TemplateParameter{ParameterKey: aws.String(key)}
		if d, ok := doc.Parameters[key]["Default"]; ok {
			p.DefaultValue = aws.String(d.Value)
		}
		list = append(list, p)
	}
	return list, nil
}

// forecastOperations finds operations of the set that are in progress. Publishing,
// which comes after the build, waits for them up to timeout. So only an operation
// that has already run for longer than that is a problem.
func (s *Set) forecastOperations(ctx context.Context) error {
	busy, err := s.inProgress(ctx)
	if err != nil {
		return err
	}
	for _, o := range busy {
		id, begun := aws.ToString(o.OperationId), aws.ToTime(o.CreationTimestamp)
		if s.ManagedExecution {
			s.call.Sayf("stack set %s: operation %s (%s) is %s; CloudFormation queues those of publishing behind it", s.Name, id, o.Action, o.Status)
			continue
		}
		if since := time.Since(begun); !begun.IsZero() && since > s.limit() {
			return fmt.Errorf("stack set %s: operation %s (%s) has been %s for %s, longer than timeout (%s): wait for it, set managed_execution, or stop it:\n  %s",
				s.Name, id, o.Action, o.Status, since.Round(time.Second), s.limit(), s.stopCommand(id))
		}
		s.call.Sayf("stack set %s: operation %s (%s) is %s; publishing waits for it up to %s", s.Name, id, o.Action, o.Status, s.limit())
	}
	return nil
}
