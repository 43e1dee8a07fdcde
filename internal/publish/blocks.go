// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// block is what one update can be for: accounts, or organizational units, each
// of which has an instance in each of the regions. CloudFormation refuses an
// update of an instance that is not there, so that a set whose accounts differ
// from region to region takes more than one
// (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1978).
type block struct{ regions, targets []string }

// blocks puts those regions together that have instances of the same targets.
func (s *stackSetState) blocks(list []types.StackInstanceSummary) []block {
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
