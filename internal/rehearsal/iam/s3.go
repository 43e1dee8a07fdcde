// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package iam

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"

// s3Actions maps S3 API actions to the IAM actions with another name
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html).
var s3Actions = map[string][]string{
	"HeadObject":                    {"s3:GetObject"},
	"CopyObject":                    {"s3:GetObject", "s3:PutObject"},
	"DeleteObjects":                 {"s3:DeleteObject"},
	"HeadBucket":                    {"s3:ListBucket"},
	"ListObjects":                   {"s3:ListBucket"},
	"ListObjectsV2":                 {"s3:ListBucket"},
	"ListObjectVersions":            {"s3:ListBucketVersions"},
	"ListBuckets":                   {"s3:ListAllMyBuckets"},
	"GetPublicAccessBlock":          {"s3:GetBucketPublicAccessBlock"},
	"PutPublicAccessBlock":          {"s3:PutBucketPublicAccessBlock"},
	"DeletePublicAccessBlock":       {"s3:PutBucketPublicAccessBlock"},
	"DeleteBucketOwnershipControls": {"s3:PutBucketOwnershipControls"},
	"DeleteBucketTagging":           {"s3:PutBucketTagging"},
}

func actionsOfS3(action string, p query.Params) []string {
	needed := append([]string{}, s3Actions[action]...)
	if len(needed) == 0 {
		needed = append(needed, "s3:"+action)
	}
	if p.Has("VersionId") && (action == "GetObject" || action == "HeadObject" || action == "DeleteObject") {
		needed[0] += "Version"
	}
	if action == "PutObject" || action == "CopyObject" {
		if p.Has("ACL") {
			needed = append(needed, "s3:PutObjectAcl")
		}
		if p.Has("Tagging") {
			needed = append(needed, "s3:PutObjectTagging")
		}
	}
	return needed
}
