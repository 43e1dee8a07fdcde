// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// preferences are StackSetOperationPreferences
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html).
type preferences struct {
	Concurrency      string                 `xml:"RegionConcurrencyType,omitempty"`
	Order            *query.Members[string] `xml:"RegionOrder"`
	Tolerance        *int                   `xml:"FailureToleranceCount"`
	TolerancePercent *int                   `xml:"FailureTolerancePercentage"`
	Most             *int                   `xml:"MaxConcurrentCount"`
	MostPercent      *int                   `xml:"MaxConcurrentPercentage"`
	Mode             string                 `xml:"ConcurrencyMode,omitempty"`
}

// setPreferences parses the operation preferences of a request.
func (o *operation) setPreferences(c *call, list []*instance) error {
	p := c.p.Sub("OperationPreferences")
	o.preferences = preferences{Concurrency: p.Or("RegionConcurrencyType", "SEQUENTIAL"), Mode: p.Or("ConcurrencyMode", "STRICT_FAILURE_TOLERANCE")}
	f := &o.preferences
	for _, n := range []struct {
		name        string
		to          **int
		least, most int
	}{
		{"FailureToleranceCount", &f.Tolerance, 0, 1 << 30}, {"FailureTolerancePercentage", &f.TolerancePercent, 0, 100},
		{"MaxConcurrentCount", &f.Most, 1, 1 << 30}, {"MaxConcurrentPercentage", &f.MostPercent, 1, 100},
	} {
		if !p.Has(n.name) {
			continue
		}
		v, err := p.Int(n.name, 0)
		if err != nil || v < n.least || v > n.most {
			return invalid("%s is %q, expected %d or more", n.name, p.Get(n.name), n.least)
		}
		*n.to = &v
	}
	switch {
	case f.Tolerance != nil && f.TolerancePercent != nil:
		return invalid("FailureToleranceCount and FailureTolerancePercentage cannot both be specified")
	case f.Most != nil && f.MostPercent != nil:
		return invalid("MaxConcurrentCount and MaxConcurrentPercentage cannot both be specified")
	case f.Concurrency != "SEQUENTIAL" && f.Concurrency != "PARALLEL":
		return invalid("RegionConcurrencyType is %q, expected SEQUENTIAL or PARALLEL", f.Concurrency)
	case f.Mode != "STRICT_FAILURE_TOLERANCE" && f.Mode != "SOFT_FAILURE_TOLERANCE":
		return invalid("ConcurrencyMode is %q, expected STRICT_FAILURE_TOLERANCE or SOFT_FAILURE_TOLERANCE", f.Mode)
	}
	if order := p.List("RegionOrder"); len(order) > 0 {
		f.Order = &query.Members[string]{Items: order}
		for _, i := range list {
			if !slices.Contains(order, i.region) {
				return invalid("RegionOrder must contain every region of the operation, but lacks %s", i.region)
			}
		}
		for _, region := range order {
			if !slices.ContainsFunc(list, func(i *instance) bool { return i.region == region }) {
				return invalid("RegionOrder contains %s, which is not a region of the operation", region)
			}
		}
	}
	return nil
}

// tolerance returns how many of n accounts in a region may fail.
func (f preferences) tolerance(n int) int {
	switch {
	case f.Tolerance != nil:
		return *f.Tolerance
	case f.TolerancePercent != nil:
		return n * *f.TolerancePercent / 100
	}
	return 0
}

// concurrency returns how many of n accounts in a region are changed concurrently after
// some failures. The strict mode reduces it, so that at most tolerance + 1 stacks fail;
// the soft mode does not.
func (f preferences) concurrency(n, failures int) int {
	most := 1
	switch {
	case f.Most != nil:
		most = *f.Most
	case f.MostPercent != nil:
		most = max(1, n**f.MostPercent/100)
	}
	if f.Mode == "STRICT_FAILURE_TOLERANCE" {
		most = min(most, f.tolerance(n)+1-failures)
	}
	return max(1, most)
}
