// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// block is a group of accounts or organizational units that have instances in the
// same regions. CloudFormation rejects an update that includes a missing instance,
// so each block needs its own update
// (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1978).
type block struct{ regions, targets []string }

// blocks groups the regions that have instances of the same targets.
func (s *Set) blocks(list []types.StackInstanceSummary) []block {
	in := map[string][]string{} // region: targets
	for _, i := range list {
		region := aws.ToString(i.Region)
		switch {
		case len(s.OrganizationalUnits) == 0:
			in[region] = append(in[region], aws.ToString(i.Account))
		case i.OrganizationalUnitId == nil:
			in[region] = append(in[region], s.OrganizationalUnits...)
		default:
			in[region] = append(in[region], *i.OrganizationalUnitId)
		}
	}
	return grouped(in)
}

// grouped groups the regions that have the same targets.
func grouped(in map[string][]string) []block {
	regions := map[string][]string{}
	for _, region := range slices.Sorted(maps.Keys(in)) {
		key := strings.Join(unique(in[region]), ",")
		regions[key] = append(regions[key], region)
	}
	var all []block
	for _, key := range slices.Sorted(maps.Keys(regions)) {
		all = append(all, block{regions[key], strings.Split(key, ",")})
	}
	return all
}
