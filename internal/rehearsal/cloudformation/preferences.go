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

// prefer reads the preferences of a request for an operation on some instances.
func (o *operation) prefer(c *call, list []*instance) error {
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
				return invalid("RegionOrder must have every region of the operation, and has not %s", i.region)
			}
		}
		for _, region := range order {
			if !slices.ContainsFunc(list, func(i *instance) bool { return i.region == region }) {
				return invalid("RegionOrder has %s, which is no region of the operation", region)
			}
		}
	}
	return nil
}

// tolerance is how many of n accounts in a region may fail.
func (f preferences) tolerance(n int) int {
	switch {
	case f.Tolerance != nil:
		return *f.Tolerance
	case f.TolerancePercent != nil:
		return n * *f.TolerancePercent / 100
	}
	return 0
}

// concurrency is how many of n accounts in a region are worked on at once after
// some have failed. With the strict mode no more than the tolerance and one can
// fail; the other keeps its pace.
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
