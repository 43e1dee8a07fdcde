// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"slices"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// IAM's names for S3 actions differ from those of the S3 API.
func TestActionsOfS3(t *testing.T) {
	for _, test := range []struct {
		action string
		p      query.Params
		want   []string
	}{
		{"HeadObject", nil, []string{"s3:GetObject"}},
		{"GetObject", query.Params{"VersionId": "1"}, []string{"s3:GetObjectVersion"}},
		{"HeadObject", query.Params{"VersionId": "1"}, []string{"s3:GetObjectVersion"}},
		{"ListObjectsV2", nil, []string{"s3:ListBucket"}},
		{"PutObject", query.Params{"ACL": "private", "Tagging": "a=b"}, []string{"s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging"}},
		{"CopyObject", nil, []string{"s3:GetObject", "s3:PutObject"}},
		{"CreateBucket", nil, []string{"s3:CreateBucket"}},
	} {
		for range 2 { // a call does not change the result of the next one
			if got := Actions("s3", test.action, test.p); !slices.Equal(got, test.want) {
				t.Errorf("%s %v: got %v, want %v", test.action, test.p, got, test.want)
			}
		}
	}
}
