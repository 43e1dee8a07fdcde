// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// S3 returns the S3 client for a bucket in a region. It uses path-style addressing if
// an endpoint is set, or if the bucket's name contains a dot, because S3's
// certificates do not cover such host names.
func (c *Clients) S3(region, bucket string) *s3.Client {
	dotted := strings.Contains(bucket, ".")
	key := region
	if dotted {
		key += " path"
	}
	return c.s3.get(key, func() *s3.Client {
		return s3.NewFromConfig(c.base, func(o *s3.Options) {
			o.Region = region
			o.UsePathStyle = o.BaseEndpoint != nil || dotted
			o.DisableLogOutputChecksumValidationSkipped = true // compatible endpoints have no checksums; important contents are compared
		})
	})
}

// IAM returns the IAM client, for roles and instance profiles.
func (c *Clients) IAM() *iam.Client {
	return c.iam.get(c.base.Region, func() *iam.Client { return iam.NewFromConfig(c.base) })
}

// OneTryIAM is OneTry for a request to IAM.
func OneTryIAM(o *iam.Options) { o.RetryMaxAttempts = 1 }

// SSM returns the Systems Manager client of a region.
func (c *Clients) SSM(region string) *ssm.Client {
	return c.ssm.get(region, func() *ssm.Client {
		return ssm.NewFromConfig(c.base, func(o *ssm.Options) { o.Region = region })
	})
}

// CloudFormation returns the CloudFormation client of a region.
func (c *Clients) CloudFormation(region string) *cloudformation.Client {
	return c.cloudformation.get(region, func() *cloudformation.Client {
		return cloudformation.NewFromConfig(c.base, func(o *cloudformation.Options) { o.Region = region })
	})
}
