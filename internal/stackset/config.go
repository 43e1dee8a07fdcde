// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stackset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// Config is the configuration of a stack set and its instances. It is part of the records of
// publications, so it contains no secrets.
type Config struct {
	Name                  string            `json:"name"`
	Region                string            `json:"region"` // of the set itself
	Regions               []string          `json:"regions"`
	Accounts              []string          `json:"accounts,omitempty"`
	OrganizationalUnits   []string          `json:"organizational_units,omitempty"`
	AutoDeployment        *AutoDeployment   `json:"auto_deployment,omitempty"` // nil: not changed
	CanaryRegion          string            `json:"canary_region,omitempty"`
	OnFailure             string            `json:"on_failure"` // Restore or Keep
	Parameters            map[string]string `json:"-"`          // their values may be secret
	Overrides             []Override        `json:"parameter_overrides,omitempty"`
	Capabilities          []string          `json:"capabilities,omitempty"`
	AdministrationRoleARN string            `json:"administration_role_arn,omitempty"`
	ExecutionRoleName     string            `json:"execution_role_name,omitempty"`
	PermissionModel       string            `json:"permission_model,omitempty"`
	CallAs                string            `json:"call_as,omitempty"`
	ManagedExecution      bool              `json:"managed_execution,omitempty"`
	Preferences           Preferences       `json:"operation_preferences"`
	Timeout               time.Duration     `json:"timeout,omitempty"` // of one operation, and of the wait for another one
}

// AutoDeployment tells whether accounts that join the organizational units later get
// stacks, and whether those that leave keep theirs.
type AutoDeployment struct {
	Enabled bool `json:"enabled"`
	Retain  bool `json:"retain_stacks_on_account_removal,omitempty"`
}

// Values of OnFailure.
const (
	Restore = "rollback"
	Keep    = "keep"
)

// Preferences are StackSetOperationPreferences; a nil value is not sent.
type Preferences struct {
	RegionOrder                []string `json:"region_order,omitempty"`
	RegionConcurrencyType      string   `json:"region_concurrency_type,omitempty"`
	ConcurrencyMode            string   `json:"concurrency_mode,omitempty"`
	FailureToleranceCount      *int32   `json:"failure_tolerance_count,omitempty"`
	FailureTolerancePercentage *int32   `json:"failure_tolerance_percentage,omitempty"`
	MaxConcurrentCount         *int32   `json:"max_concurrent_count,omitempty"`
	MaxConcurrentPercentage    *int32   `json:"max_concurrent_percentage,omitempty"`
}

// Validate checks that the regions are consistent, and that each override includes stacks
// of the set.
func (c *Config) Validate() error {
	return errors.Join(c.checkRegions(), c.checkOverrides())
}

func (c *Config) checkRegions() error {
	if err := region.OnePartition(append([]string{c.Region}, c.Regions...)); err != nil {
		return err
	}
	all := strings.Join(slices.Sorted(slices.Values(c.Regions)), ", ")
	if c.CanaryRegion != "" && !slices.Contains(c.Regions, c.CanaryRegion) {
		return fmt.Errorf("canary_region: got %q, want one of %s", c.CanaryRegion, all)
	}
	order := strings.Join(slices.Sorted(slices.Values(c.Preferences.RegionOrder)), ", ")
	if order != "" && order != all {
		return fmt.Errorf("region_order: got %s, want all of %s, each once", order, all)
	}
	return nil
}

// Stages returns the regions of each stage of a roll-out, the canary region first.
func (c *Config) Stages() [][]string {
	rest := slices.DeleteFunc(slices.Clone(c.Regions), func(r string) bool { return r == c.CanaryRegion })
	switch {
	case c.CanaryRegion == "":
		return [][]string{rest}
	case len(rest) == 0:
		return [][]string{{c.CanaryRegion}}
	}
	return [][]string{{c.CanaryRegion}, rest}
}
