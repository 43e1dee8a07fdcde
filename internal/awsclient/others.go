// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// onlyEC2 reports whether the endpoint serves only EC2, so that requests to other
// services would go to AWS.
func (c *Clients) onlyEC2() bool { return c.endpoint != "" && c.base.BaseEndpoint == nil }

// optionalTries is the number of attempts of an optional request.
const optionalTries = 2

// KMS returns the KMS client of a region; nil if the endpoint serves only EC2.
func (c *Clients) KMS(region string) *kms.Client {
	if c.onlyEC2() {
		return nil
	}
	return c.kms.get(region, func() *kms.Client {
		return kms.NewFromConfig(c.base, func(o *kms.Options) { o.Region, o.RetryMaxAttempts = region, optionalTries })
	})
}

// Quotas returns the Service Quotas client of the build's region; nil if the
// endpoint serves only EC2.
func (c *Clients) Quotas() *servicequotas.Client {
	if c.onlyEC2() {
		return nil
	}
	return c.quotas.get(c.base.Region, func() *servicequotas.Client {
		return servicequotas.NewFromConfig(c.base, func(o *servicequotas.Options) { o.RetryMaxAttempts = optionalTries })
	})
}

// STS returns the STS client; nil if the endpoint serves only EC2.
func (c *Clients) STS() *sts.Client {
	if c.onlyEC2() {
		return nil
	}
	return c.sts.get(c.base.Region, func() *sts.Client {
		return sts.NewFromConfig(c.base, func(o *sts.Options) { o.RetryMaxAttempts = optionalTries })
	})
}

// FewTries limits the attempts of an optional EC2 request.
func FewTries(o *ec2.Options) { o.RetryMaxAttempts = optionalTries }
