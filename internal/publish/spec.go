// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import "time"

// Spec defines what is published and where. It is part of each record in the
// buckets, so it contains no secrets.
type Spec struct {
	Name       string    `json:"name"`              // the template's file name, the last part of its keys
	Version    string    `json:"version,omitempty"` // if empty, the SHA-256 of the content
	Mapping    string    `json:"mapping"`           // the region map
	Attributes []string  `json:"attributes"`        // the attributes to publish
	S3         S3        `json:"s3"`
	SSM        *SSM      `json:"ssm,omitempty"`
	StackSet   *StackSet `json:"stack_set,omitempty"`
	// TrustImages skips looking the images up in EC2.
	TrustImages bool `json:"trust_images,omitempty"`
}

// S3 is one bucket for each region. Bucket and KMSKeyID may contain {{ .Region }}.
type S3 struct {
	Bucket       string            `json:"bucket"`
	Prefix       string            `json:"prefix,omitempty"` // of all keys: empty, or ending in /
	Regions      []string          `json:"regions"`          // the first region decides
	ACL          string            `json:"acl,omitempty"`
	KMSKeyID     string            `json:"kms_key_id,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	KeepVersions int               `json:"keep_versions,omitempty"` // 0 keeps all
	Owner        string            `json:"owner,omitempty"`         // the account that must own the buckets
}

// SSM is one parameter for each region. The names may contain {{ .Attribute }}, and
// the versioned name {{ .Version }}.
type SSM struct {
	Name          string        `json:"name,omitempty"`
	VersionedName string        `json:"versioned_name,omitempty"`
	Regions       []string      `json:"regions,omitempty"` // if empty, those of S3
	Timeout       time.Duration `json:"timeout,omitempty"`
}

// StackSet is a stack set and its instances.
type StackSet struct {
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
