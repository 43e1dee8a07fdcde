// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// onlyEC2 says that the endpoint is that of EC2 alone, so that what is asked of
// another service would leave the look-alike.
func (c *Clients) onlyEC2() bool { return c.endpoint != "" && c.base.BaseEndpoint == nil }

// optionalTries is how often a service is asked that a build can do without.
const optionalTries = 2

// KMS returns the client of a region's keys, nil where EC2 alone is a look-alike.
func (c *Clients) KMS(region string) *kms.Client {
	if c.onlyEC2() {
		return nil
	}
	return kms.NewFromConfig(c.base, func(o *kms.Options) { o.Region, o.RetryMaxAttempts = region, optionalTries })
}

// Quotas returns the client of Service Quotas in the build's region, nil where
// EC2 alone is a look-alike.
func (c *Clients) Quotas() *servicequotas.Client {
	if c.onlyEC2() {
		return nil
	}
	return servicequotas.NewFromConfig(c.base, func(o *servicequotas.Options) { o.RetryMaxAttempts = optionalTries })
}

// STS returns the client that knows whose the credentials are, nil where EC2
// alone is a look-alike.
func (c *Clients) STS() *sts.Client {
	if c.onlyEC2() {
		return nil
	}
	return sts.NewFromConfig(c.base, func(o *sts.Options) { o.RetryMaxAttempts = optionalTries })
}

// FewTries is for a call to EC2 that a build can do without the answer to.
func FewTries(o *ec2.Options) { o.RetryMaxAttempts = optionalTries }
