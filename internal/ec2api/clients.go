// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ec2api is the one place where EC2 clients are made and where EC2's
// error codes are told apart. Nothing else constructs a client, so that no
// call can bypass the endpoint that a user, or a rehearsal, has set.
package ec2api

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
)

// Clients makes EC2 clients for any region from one base configuration.
type Clients struct {
	base     aws.Config
	endpoint string
}

// New returns the clients of base: its credentials, its transport, and its
// endpoint (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_EC2) unless endpoint, which
// every region's client then goes to, is given.
func New(base aws.Config, endpoint string) *Clients {
	if buildable, ok := base.HTTPClient.(*awshttp.BuildableClient); ok || base.HTTPClient == nil {
		if buildable == nil {
			buildable = awshttp.NewBuildableClient()
		}
		base.HTTPClient = connections{buildable}
	}
	return &Clients{base: base, endpoint: endpoint}
}

// connections keeps one pool of connections for all clients: the SDK gives each
// new client of a BuildableClient a pool of its own, and EC2 makes a client a
// call.
type connections struct{ aws.HTTPClient }

// Region is the build's region.
func (c *Clients) Region() string { return c.base.Region }

// Config is the base configuration, for the services that are not EC2.
func (c *Clients) Config() *aws.Config { return &c.base }

// EC2 returns the client of a region.
func (c *Clients) EC2(region string) *EC2 {
	return &EC2{base: c.base, region: region, endpoint: c.endpoint}
}

// priceList is the region of the Price List Query API that every commercial
// region's prices are asked in
// (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
const priceList = "us-east-1"

// Pricing returns the client of AWS's price list, nil where it has no prices in
// US dollars for the build's partition, or EC2 alone is a look-alike.
func (c *Clients) Pricing() *pricing.Client {
	for _, other := range []string{"cn-", "us-gov-", "us-iso", "eu-iso", "eusc-"} {
		if strings.HasPrefix(c.base.Region, other) {
			return nil
		}
	}
	if c.endpoint != "" && c.base.BaseEndpoint == nil {
		return nil
	}
	return pricing.NewFromConfig(c.base, func(o *pricing.Options) {
		o.Region, o.RetryMaxAttempts = priceList, 2 // a build can do without it
	})
}

// NoLaunchRetries makes a call give up at once on an answer that repeating the
// same call does not change: EC2 says InsufficientInstanceCapacity with HTTP
// 500, which the SDK would repeat ten times over two minutes. Throttles are the
// caller's to wait for.
func NoLaunchRetries(o *ec2.Options) {
	o.Retryer = launchRetryer{o.Retryer}
}

type launchRetryer struct{ aws.Retryer }

func (r launchRetryer) IsErrorRetryable(err error) bool {
	return !IsLaunchRefusal(err) && !IsThrottle(err) && r.Retryer.IsErrorRetryable(err)
}
