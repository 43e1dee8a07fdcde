// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// URLs have the format that CloudFormation accepts
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
func TestObjectURL(t *testing.T) {
	for _, test := range []struct{ region, bucket, key, want string }{
		{"us-east-1", "bucket", "templates/1/t", "https://bucket.s3.us-east-1.amazonaws.com/templates/1/t"},
		{"eu-central-1", "bucket", "t", "https://bucket.s3.eu-central-1.amazonaws.com/t"},
		{"cn-north-1", "bucket", "t", "https://bucket.s3.cn-north-1.amazonaws.com.cn/t"},
		{"us-gov-west-1", "bucket", "t", "https://bucket.s3.us-gov-west-1.amazonaws.com/t"},
		{"eu-west-1", "my.dotted.bucket", "t", "https://s3.eu-west-1.amazonaws.com/my.dotted.bucket/t"},
		{"eu-west-1", "bucket", "a template?.yaml", "https://bucket.s3.eu-west-1.amazonaws.com/a%20template%3F.yaml"},
	} {
		if got, err := publish.ObjectURL(test.region, test.bucket, test.key); err != nil || got != test.want {
			t.Errorf("%s, %s: %s, %v; want %s", test.region, test.bucket, got, err, test.want)
		}
	}
}

// All errors of a plan are reported before anything is done.
func TestCompute(t *testing.T) {
	for want, change := range map[string]func(*publish.Spec){
		"CloudFormation accepts at most 1048576 from S3": func(s *publish.Spec) { s.Name = "large" },
		`version: got "latest"`:                          func(s *publish.Spec) { s.Version = "latest" },
		"no regions to publish to":                       func(s *publish.Spec) { s.S3.Regions, s.SSM = nil, nil },
		"have the same bucket":                           func(s *publish.Spec) { s.S3.Bucket = "one" },
		"is in partition aws and cn-north-1 in aws-cn": func(s *publish.Spec) {
			s.S3.Regions = []string{"us-east-1", "cn-north-1"}
		},
		`canary_region: got "sa-east-1", want one of ap-south-1`: func(s *publish.Spec) {
			s.StackSet = &stackset.Config{Region: "us-east-1", Regions: three, CanaryRegion: "sa-east-1"}
		},
		"region_order: got us-east-1, want all of ap-south-1, eu-central-1, us-east-1": func(s *publish.Spec) {
			s.StackSet = &stackset.Config{Region: "us-east-1", Regions: three, Preferences: stackset.Preferences{RegionOrder: []string{"us-east-1"}}}
		},
		"two parameters are named": func(s *publish.Spec) { s.SSM.VersionedName = s.SSM.Name },
	} {
		s := spec(three...)
		change(&s)
		body := template(1, three...)
		if s.Name == "large" {
			body = append(body, "# "+strings.Repeat("x", publish.MaxTemplate)...)
		}
		if _, err := publish.Compute(s, body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
