// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// instances lists all instances of the set.
func (s *Set) instances(ctx context.Context) ([]types.StackInstanceSummary, error) {
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

// Members returns the accounts of each organizational unit that already have stacks.
func (s *Set) Members(ctx context.Context) (map[string][]string, error) {
	before, err := s.describe(ctx)
	if err != nil || before == nil {
		return nil, err
	}
	there, err := s.instances(ctx)
	if err != nil {
		return nil, err
	}
	members := map[string][]string{}
	for _, i := range there {
		unit := aws.ToString(i.OrganizationalUnitId)
		if i.Status != types.StackInstanceStatusInoperable {
			members[unit] = append(members[unit], aws.ToString(i.Account))
		}
	}
	return members, nil
}

// wants reports whether an instance belongs to the configured targets.
func (s *Set) wants(i types.StackInstanceSummary) bool {
	if len(s.OrganizationalUnits) > 0 {
		return i.OrganizationalUnitId == nil || slices.Contains(s.OrganizationalUnits, *i.OrganizationalUnitId)
	}
	return slices.Contains(s.Accounts, aws.ToString(i.Account))
}

// configured reports whether an instance is in the configured targets and regions.
func (s *Set) configured(i types.StackInstanceSummary) bool {
	return s.wants(i) && slices.Contains(s.Regions, aws.ToString(i.Region))
}

func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
