// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import "fmt"

// soft is the concurrency mode that does not depend on the failure tolerance.
const soft = "SOFT_FAILURE_TOLERANCE"

// Concurrency describes in how many accounts of a region an operation runs at the
// same time. limit is empty, or tells why that is less than the configured maximum
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html).
func (c *Config) Concurrency() (is, limit string) {
	p, n := c.Preferences, len(c.Accounts)
	option, most := "max_concurrent_count", share{count: 1}
	if p.MaxConcurrentCount != nil {
		most.count = int(*p.MaxConcurrentCount)
	} else if p.MaxConcurrentPercentage != nil {
		option, most = "max_concurrent_percentage", share{percent: int(*p.MaxConcurrentPercentage), least: 1}
	}
	remedy, tolerance := "failure_tolerance_count", share{}
	if p.FailureToleranceCount != nil {
		tolerance.count = int(*p.FailureToleranceCount)
	} else if p.FailureTolerancePercentage != nil {
		remedy, tolerance = "failure_tolerance_percentage", share{percent: int(*p.FailureTolerancePercentage)}
	}
	asked, known := most.of(n)
	if n > 0 {
		asked = min(asked, n)
	}
	fails, exact := tolerance.of(n)
	switch {
	case p.ConcurrencyMode == soft && !known:
		return fmt.Sprintf("%d%% of the accounts at a time in each region", most.percent), ""
	case p.ConcurrencyMode == soft, exact && known && asked <= fails+1:
		return fmt.Sprintf("%s at a time in each region", accountsOf(asked)), ""
	case !exact:
		return fmt.Sprintf("at most %d%% of the accounts, rounded down, plus 1, at a time in each region", tolerance.percent), ""
	}
	is = fmt.Sprintf("%s at a time in each region", accountsOf(fails+1))
	got := most.count
	if most.percent > 0 {
		got = most.percent
	}
	raise := fmt.Sprintf("raise %s", remedy)
	if known && remedy == "failure_tolerance_count" {
		raise = fmt.Sprintf("set failure_tolerance_count to %d", asked-1)
	}
	return is, fmt.Sprintf("operation_preferences.%s: got %d, but CloudFormation changes %s at a time in each region: with STRICT_FAILURE_TOLERANCE at most one more than may fail (%d); %s, or set concurrency_mode to %s",
		option, got, accountsOf(fails+1), fails, raise, soft)
}

// share is a number of accounts, or a percentage of them.
type share struct{ count, percent, least int }

// of returns the share of n accounts; false if n is not known, and needed.
func (s share) of(n int) (int, bool) {
	if s.percent == 0 {
		return s.count, true
	}
	return max(s.least, n*s.percent/100), n > 0
}

func accountsOf(n int) string {
	if n == 1 {
		return "1 account"
	}
	return fmt.Sprintf("%d accounts", n)
}
