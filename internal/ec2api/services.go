// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// S3 returns the client for a bucket of a region. Where an endpoint is set, or
// the bucket's name has a dot, which no certificate of S3 covers, the bucket is
// named in the path.
func (c *Clients) S3(region, bucket string) *s3.Client {
	return s3.NewFromConfig(c.base, func(o *s3.Options) {
		o.Region = region
		o.UsePathStyle = o.BaseEndpoint != nil || strings.Contains(bucket, ".")
		o.DisableLogOutputChecksumValidationSkipped = true // look-alikes have none; what matters is compared
	})
}

// SSM returns the client of a region.
func (c *Clients) SSM(region string) *ssm.Client {
	return ssm.NewFromConfig(c.base, func(o *ssm.Options) { o.Region = region })
}

// CloudFormation returns the client of a region.
func (c *Clients) CloudFormation(region string) *cloudformation.Client {
	return cloudformation.NewFromConfig(c.base, func(o *cloudformation.Options) { o.Region = region })
}
