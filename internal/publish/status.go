// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// Kinds of findings.
const (
	kindLatest    = "latest"
	kindParameter = "parameter"
	kindStackSet  = stackset.Kind
)

// Finding compares the actual and the expected state of one item.
type Finding struct {
	Kind   string `json:"kind"` // latest, parameter, stack set, instances or override
	Region string `json:"region"`
	Name   string `json:"name"`
	Is     string `json:"is"`
	Want   string `json:"want"`
}

// OK reports whether the state is as expected.
func (f Finding) OK() bool { return f.Is == f.Want }

// Check compares everything that was published with the first region. It changes
// nothing.
func (p *Publisher) Check(ctx context.Context, s *State) ([]Finding, error) {
	spec := s.Record.Spec
	spec.Version = s.Latest.Version
	plan, err := Compute(spec, s.Latest.Body)
	if err != nil {
		return nil, err
	}
	r := &run{Publisher: p, plan: plan}
	latest := make([]Finding, len(plan.Places))
	if err := r.everywhere(func(i int, at Place) error {
		l, err := p.latest(ctx, at, spec.S3.Owner)
		is := "absent"
		if l.Found {
			is = fmt.Sprintf("%s, publication %d", l.Version, l.Number)
			if l.SHA256 != plan.SHA256 && l.Version == plan.Version {
				is = "other content with the name of " + is
			}
		}
		latest[i] = Finding{kindLatest, at.Region, at.LatestURL, is, fmt.Sprintf("%s, publication %d", s.Latest.Version, s.Latest.Number)}
		return err
	}); err != nil {
		return nil, err
	}
	parameters := make([]Finding, len(plan.Parameters))
	errs := make([]error, len(plan.Parameters))
	var wg sync.WaitGroup
	for i, q := range plan.Parameters {
		wg.Go(func() {
			now, err := getParameter(ctx, p.Clients.SSM(q.Region), q)
			is := "absent"
			if now != nil {
				is = aws.ToString(now.Value)
			}
			parameters[i], errs[i] = Finding{kindParameter, q.Region, q.Name, is, q.Image}, err
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", plan.Parameters[i].Region, plan.Parameters[i].Name, err)
		}
	}
	all := slices.Concat(latest, parameters, r.formerFindings(ctx, s.Record.Former, s.Latest.Number))
	if spec.StackSet == nil {
		return all, nil
	}
	set, err := r.stackSet(spec.StackSet).Findings(ctx, plan.Body)
	for _, f := range set {
		all = append(all, Finding(f))
	}
	return all, err
}
