// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package awsclient creates all AWS clients and classifies EC2's error codes. No other
// package creates clients, so that no request can bypass the endpoint of the user
// or a rehearsal.
package awsclient

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
)

// Clients has one client per service and region, created from one base configuration
// on first use. A client keeps its retryer, so that the retry quota, the
// rate of adaptive mode and the clock skew carry over from one request to the next.
// Regions have a retryer each, because AWS throttles each by itself.
type Clients struct {
	given    aws.Config // the base configuration before New has changed it
	base     aws.Config
	endpoint string
	outages  *outages

	ec2            cache[EC2]
	cloudformation cache[cloudformation.Client]
	iam            cache[iam.Client]
	kms            cache[kms.Client]
	pricing        cache[pricing.Client]
	quotas         cache[servicequotas.Client]
	s3             cache[s3.Client]
	ssm            cache[ssm.Client]
	sts            cache[sts.Client]
}

// cache holds the clients of one service by region.
type cache[T any] struct {
	mu   sync.Mutex
	made map[string]*T
}

// get returns the client with a key, and creates it on first use.
func (c *cache[T]) get(key string, create func() *T) *T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made[key] == nil {
		if c.made == nil {
			c.made = map[string]*T{}
		}
		c.made[key] = create()
	}
	return c.made[key]
}

// New returns clients with the credentials and the transport of base. They use
// endpoint in all regions if it is set, else the endpoint of base
// (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_EC2).
func New(base aws.Config, endpoint string) *Clients { return newClients(base, endpoint, newOutages()) }

func newClients(base aws.Config, endpoint string, outages *outages) *Clients {
	given := base
	onClock(&base)
	if buildable, ok := base.HTTPClient.(*awshttp.BuildableClient); ok || base.HTTPClient == nil {
		if buildable == nil {
			buildable = awshttp.NewBuildableClient()
		}
		base.HTTPClient = connections{buildable.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = clock.Real(responseTimeout) })}
	}
	c := &Clients{given: given, base: base, endpoint: endpoint, outages: outages}
	c.base.APIOptions = append(slices.Clone(base.APIOptions), c.outages.add, addAttempts, explain, hideTokens)
	if base.Credentials != nil {
		cache, is := base.Credentials.(*aws.CredentialsCache)
		if !is {
			cache = aws.NewCredentialsCache(base.Credentials)
		}
		c.base.Credentials = cache
		c.base.APIOptions = append(c.base.APIOptions, (&renewer{cache: cache}).add)
	}
	return c
}

// In returns the clients of the same account in another region.
func (c *Clients) In(region string) *Clients {
	if region == c.base.Region {
		return c
	}
	base := c.given
	base.Region, base.Credentials = region, c.base.Credentials
	return newClients(base, c.endpoint, c.outages)
}

// responseTimeout is how long a request waits for the first byte of its response.
// Otherwise a lost connection is noticed only when the system gives it up, after up
// to 15 minutes.
const responseTimeout = time.Minute

// connections shares one connection pool among all clients. The SDK creates a new
// pool per client, and packer-plugin-amazon creates clients of its own.
type connections struct{ aws.HTTPClient }

// Region returns the build's region.
func (c *Clients) Region() string { return c.base.Region }

// Config returns the base configuration, for services other than EC2.
func (c *Clients) Config() *aws.Config { return &c.base }

// EC2 returns the EC2 client of a region.
func (c *Clients) EC2(region string) *EC2 {
	return c.ec2.get(region, func() *EC2 {
		return &EC2{(*methodless)(ec2.NewFromConfig(c.base, func(o *ec2.Options) {
			o.Region = region
			if c.endpoint != "" {
				o.BaseEndpoint = aws.String(c.endpoint)
			}
		}))}
	})
}

// priceList is the region of the Price List Query API for all commercial regions
// (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
const priceList = "us-east-1"

// Pricing returns the client of AWS's price list. It is nil if the build's
// partition has no prices in US dollars, or if the endpoint serves only EC2.
func (c *Clients) Pricing() *pricing.Client {
	for _, other := range []string{"cn-", "us-gov-", "us-iso", "eu-iso", "eusc-"} {
		if strings.HasPrefix(c.base.Region, other) {
			return nil
		}
	}
	if c.onlyEC2() {
		return nil
	}
	return c.pricing.get(priceList, func() *pricing.Client {
		return pricing.NewFromConfig(c.base, func(o *pricing.Options) { o.Region, o.RetryMaxAttempts = priceList, optionalTries })
	})
}

// OneTry makes a request once: after a lost response the caller must check the
// result before a retry.
func OneTry(o *ec2.Options) { o.RetryMaxAttempts = 1 }

// NoLaunchRetries disables the retries of errors that a retry does not change: EC2
// returns InsufficientInstanceCapacity with HTTP 500, which the SDK would retry
// ten times in two minutes. The caller handles throttling.
func NoLaunchRetries(o *ec2.Options) {
	o.Retryer = launchRetryer{o.Retryer}
}

type launchRetryer struct{ aws.Retryer }

func (r launchRetryer) IsErrorRetryable(err error) bool {
	return !IsLaunchRefusal(err) && !IsThrottle(err) && r.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken implements aws.RetryerV2, without which adaptive mode does not
// limit the rate.
func (r launchRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if v2, ok := r.Retryer.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}
