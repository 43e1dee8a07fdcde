// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The plan has the concurrency with which CloudFormation runs an operation.
func TestConcurrency(t *testing.T) {
	n := aws.Int32
	for name, row := range map[string]struct {
		prefer   Preferences
		accounts int // 0: organizational units
		is       string
		limit    string
	}{
		"default":                        {Preferences{}, 10, "1 account at a time in each region", ""},
		"the maximum alone":              {Preferences{MaxConcurrentCount: n(10)}, 20, "1 account at a time", "operation_preferences.max_concurrent_count: got 10, but CloudFormation changes 1 account at a time in each region: with STRICT_FAILURE_TOLERANCE at most one more than may fail (0); set failure_tolerance_count to 9, or set concurrency_mode to SOFT_FAILURE_TOLERANCE"},
		"with a tolerance":               {Preferences{MaxConcurrentCount: n(10), FailureToleranceCount: n(2)}, 20, "3 accounts at a time", "changes 3 accounts at a time"},
		"with enough of it":              {Preferences{MaxConcurrentCount: n(10), FailureToleranceCount: n(9)}, 20, "10 accounts at a time", ""},
		"few accounts":                   {Preferences{MaxConcurrentCount: n(10), FailureToleranceCount: n(1)}, 2, "2 accounts at a time", ""},
		"few accounts, less than that":   {Preferences{MaxConcurrentCount: n(10)}, 2, "1 account at a time", "set failure_tolerance_count to 1,"},
		"soft":                           {Preferences{MaxConcurrentCount: n(10), ConcurrencyMode: "SOFT_FAILURE_TOLERANCE"}, 20, "10 accounts at a time", ""},
		"percentages round down":         {Preferences{MaxConcurrentPercentage: n(50), FailureTolerancePercentage: n(15)}, 10, "2 accounts at a time", "operation_preferences.max_concurrent_percentage: got 50, but CloudFormation changes 2 accounts at a time in each region: with STRICT_FAILURE_TOLERANCE at most one more than may fail (1); raise failure_tolerance_percentage, or"},
		"at least one":                   {Preferences{MaxConcurrentPercentage: n(5)}, 10, "1 account at a time", ""},
		"units":                          {Preferences{MaxConcurrentCount: n(4)}, 0, "1 account at a time", "set failure_tolerance_count to 3,"},
		"units, a percentage of unknown": {Preferences{MaxConcurrentPercentage: n(50)}, 0, "1 account at a time", "got 50, but CloudFormation changes 1 account"},
		"units, two percentages":         {Preferences{MaxConcurrentPercentage: n(50), FailureTolerancePercentage: n(20)}, 0, "at most 20% of the accounts, rounded down, plus 1, at a time in each region", ""},
		"units, soft percentage":         {Preferences{MaxConcurrentPercentage: n(50), ConcurrencyMode: "SOFT_FAILURE_TOLERANCE"}, 0, "50% of the accounts at a time in each region", ""},
	} {
		set := &Config{Preferences: row.prefer, Accounts: slices.Repeat([]string{"1"}, row.accounts)}
		is, limit := set.Concurrency()
		if !strings.HasPrefix(is, row.is) || !strings.Contains(limit, row.limit) || (limit == "") != (row.limit == "") {
			t.Errorf("%s: got %q, %q", name, is, limit)
		}
	}
}
