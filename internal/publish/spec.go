// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// Spec defines what is published and where. It is part of each record in the
// buckets, so it contains no secrets.
type Spec struct {
	Name       string           `json:"name"`              // the template's file name, the last part of its keys
	Version    string           `json:"version,omitempty"` // if empty, the SHA-256 of the content
	Mapping    string           `json:"mapping"`           // the region map
	Attributes []string         `json:"attributes"`        // the attributes to publish
	S3         S3               `json:"s3"`
	SSM        *SSM             `json:"ssm,omitempty"`
	StackSet   *stackset.Config `json:"stack_set,omitempty"`
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
