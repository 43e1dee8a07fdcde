// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package preflight finds known causes of a failing build before anything is
// created or billed.
//
// Each check has its own file. A method of plan makes its requests, concurrently
// with all other checks; functions without requests judge the responses. A check
// that the build does not need makes no request. If the credentials do not allow a
// request, or it gets no response, it leaves a Gap, and the build continues.
//
// A build may have several launch attempts (see package launch). A
// problem with some of them is a warning, and an error if none remains.
//
// With r regions that get an image, t types, m markets, their q quotas, and s
// pages of running instances, the maximum number of requests is
//
//	10 + t*m + q + s           in the build's region
//	r * (1 + 1 + 2 + 2)        in all regions: name, copy, public access, key or encryption
//	3 + r * 2                  in each other account: role, identity and regions; name, key
//	2 + q + s                  for each launch test
//
// The estimate of the cost makes at most t + m requests more, and 2 for every 20 regions. In
// all regions, a build that neither encrypts nor shares its image makes r * 2.
package preflight

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/estimate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Plan describes a build to check.
type Plan struct {
	// BuildRegion is where the instance runs.
	BuildRegion string
	// ImageRegions get one image each.
	ImageRegions []string
	// SkipRegions skips the check of region names (skip_region_validation).
	SkipRegions bool
	// ImageName must be available in each of them; empty skips the check.
	ImageName string
	// BuildID is the tag of the build's own images.
	BuildID string
	// Has contains the regions whose image already exists and uses ImageName.
	Has map[string]bool
	// Launch is the launch of the instance; nil if the build launches none.
	Launch *Launch
	// Tests are the launches of the launch tests.
	Tests []Test
	// Sharing describes with whom the images are shared.
	Sharing Sharing
	// Accounts copy the images to themselves.
	Accounts []Account
	// Keys encrypt the images; empty if they are not encrypted.
	Keys []Key
	// Calls are the dry runs of the build's requests, except the launch.
	Calls []DryRun
	// Later checks what follows the build; nil if that is unknown.
	Later *Later
	// Architecture is the architecture of an image that exists already, and Encrypted
	// whether it is encrypted.
	Architecture string
	Encrypted    bool
	// Cost is what the build pays for. Without a size of the image, it is that of the
	// source image with the devices of the launch.
	Cost estimate.Build
	// Session is how long the credentials last; the zero value is unknown.
	Session Session
}

// Scope describes the scope of a plan for messages.
func (p Plan) Scope() string {
	switch n := len(p.ImageRegions); {
	case n == 0:
		return "the launch in " + p.BuildRegion
	case p.Launch == nil && n == 1:
		return "the copy to " + p.ImageRegions[0]
	case p.Launch == nil:
		return fmt.Sprintf("the copies to %d regions", n)
	case n == 1:
		return fmt.Sprintf("the launch in %s, and the region that gets an image,", p.BuildRegion)
	default:
		return fmt.Sprintf("the launch in %s, and the %d regions that get an image,", p.BuildRegion, n)
	}
}

// Launch describes the launch of the instance.
type Launch struct {
	Types   []string
	Markets []launch.Market
	// Network finds the VPC (empty for the default VPC) and the places. Its error
	// names the wrong attribute.
	Network func(context.Context) (vpc string, places []launch.Place, err error)
	// NamedPlaces is true if the user has set the places, so that an unavailable
	// one is reported.
	NamedPlaces bool
	// Source is the request for the source image in the build's region.
	Source Source
	// Address selects how the build connects to the instance.
	Address Address
	// DedicatedHost is true if the instance runs on a dedicated host, which does
	// not count against vCPU quotas.
	DedicatedHost bool
	// Block is the id of the capacity block in the market capacity-block, if any.
	Block string
	// BuildTime is the maximum duration of the build; 0 means no limit.
	BuildTime time.Duration
	// Devices are the configured block devices of the launch.
	Devices []Device
	// DryRun makes a launch attempt as a dry run.
	DryRun func(ctx context.Context, image ec2types.Image, attempt launch.Attempt) error
}

// EC2 holds the checks' EC2 requests in a region.
type EC2 interface {
	ec2.DescribeCapacityReservationsAPIClient
	ec2.DescribeImagesAPIClient
	ec2.DescribeInstancesAPIClient
	ec2.DescribeInstanceTypesAPIClient
	ec2.DescribeInstanceTypeOfferingsAPIClient
	ec2.DescribeRouteTablesAPIClient
	ec2.DescribeSnapshotsAPIClient
	ec2.DescribeSubnetsAPIClient
	DescribeRegions(context.Context, *ec2.DescribeRegionsInput, ...func(*ec2.Options)) (*ec2.DescribeRegionsOutput, error)
	GetEbsDefaultKmsKeyId(context.Context, *ec2.GetEbsDefaultKmsKeyIdInput, ...func(*ec2.Options)) (*ec2.GetEbsDefaultKmsKeyIdOutput, error)
	GetEbsEncryptionByDefault(context.Context, *ec2.GetEbsEncryptionByDefaultInput, ...func(*ec2.Options)) (*ec2.GetEbsEncryptionByDefaultOutput, error)
	GetImageBlockPublicAccessState(context.Context, *ec2.GetImageBlockPublicAccessStateInput, ...func(*ec2.Options)) (*ec2.GetImageBlockPublicAccessStateOutput, error)
	GetSnapshotBlockPublicAccessState(context.Context, *ec2.GetSnapshotBlockPublicAccessStateInput, ...func(*ec2.Options)) (*ec2.GetSnapshotBlockPublicAccessStateOutput, error)
}

// Keyring holds the checks' KMS requests in a region.
type Keyring interface {
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	GetKeyPolicy(context.Context, *kms.GetKeyPolicyInput, ...func(*kms.Options)) (*kms.GetKeyPolicyOutput, error)
}

// Quotas holds the checks' Service Quotas requests in the build's region.
type Quotas interface {
	GetServiceQuota(context.Context, *servicequotas.GetServiceQuotaInput, ...func(*servicequotas.Options)) (*servicequotas.GetServiceQuotaOutput, error)
}

// Identity holds the checks' STS requests.
type Identity interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// Cloud holds the clients of the checks. A check whose client is nil is skipped:
// a compatible endpoint may offer only EC2.
type Cloud struct {
	EC2      func(region string) EC2
	Keys     func(region string) Keyring
	Quotas   Quotas
	Identity Identity
	Prices   estimate.Prices
}

// patience limits the duration of all checks together; a check without a response
// by then leaves a gap.
const patience = 25 * time.Second

// attempt is how long a check waits for a response before it sends the request again.
const attempt = 8 * time.Second

// few limits the retries of optional requests.
var few = awsclient.FewTries

// plan is a Plan while it is checked.
type plan struct {
	Plan
	cloud Cloud
	home  EC2 // client of the build's region

	// Requests that several checks need are made once.
	source  func() (ec2types.Image, error)
	types   func() (map[string]ec2types.InstanceTypeInfo, error)
	network func() (network, error)
	regions func() ([]string, error) // the usable regions of ImageRegions

	regionNotes notes
}

type network struct {
	vpc    string
	places []launch.Place
}

// Run makes all checks concurrently. Its error is the context's.
func Run(ctx context.Context, wanted Plan, cloud Cloud) (Report, error) {
	asking, cancel := clock.WithTimeout(awsclient.WithAttemptTimeout(ctx, attempt), patience)
	defer cancel()
	p := &plan{Plan: wanted, cloud: cloud, home: cloud.EC2(wanted.BuildRegion)}
	p.regions = sync.OnceValues(func() ([]string, error) { return p.askRegions(asking, &p.regionNotes) })
	p.source = sync.OnceValues(func() (ec2types.Image, error) { return p.askSource(asking) })
	p.types = sync.OnceValues(func() (map[string]ec2types.InstanceTypeInfo, error) { return p.askTypes(asking) })
	p.network = sync.OnceValues(func() (n network, err error) {
		n.vpc, n.places, err = p.Launch.Network(asking)
		return n, err
	})

	checks := []check{
		{"credentials", cloud.Identity != nil, p.credentials},
		{"regions", !p.SkipRegions && len(p.ImageRegions) > 0, func(context.Context, *notes) { _, _ = p.regions() }},
		{"image name", p.ImageName != "", p.imageName},
		{"source image", p.Launch != nil, p.sourceImage},
		{"network", p.Launch != nil, p.subnets},
		{"instance types", p.Launch != nil, p.offerings},
		{"capacity block", p.Launch != nil && p.Launch.Block != "", p.capacityBlock},
		{"quotas", p.Launch != nil && !p.Launch.DedicatedHost && cloud.Quotas != nil, p.quotas},
		{"launch tests", len(p.Tests) > 0, p.launchTests},
		{"keys", len(p.Keys) > 0, p.keys},
		{"encryption", p.Sharing.any(), p.encryption},
		{"public access", p.Sharing.publicImages() || p.Sharing.publicSnapshots(), p.publicAccess},
		{"accounts", len(p.Accounts) > 0, p.accounts},
		{"permissions", p.Launch != nil || len(p.Calls) > 0, p.permissions},
	}
	if p.Later != nil {
		checks = append(checks, check{p.Later.Name, true, p.later})
	}
	checks = slices.DeleteFunc(checks, func(c check) bool { return !c.needed })
	cost := p.estimate(asking)
	taken := make([]notes, len(checks))
	all(len(checks), func(i int) { checks[i].run(asking, &taken[i]) })
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	var report Report
	for i, c := range checks {
		report.Checks = append(report.Checks, c.name)
		report.add(&taken[i])
		if c.name == "regions" {
			report.add(&p.regionNotes)
		}
	}
	report.Cost = cost()
	report.add(&notes{findings: price(report.Cost)})
	report.dropEchoes()
	report.decide(p.attempts())
	return report, nil
}

// check is one of the checks.
type check struct {
	name   string
	needed bool
	run    func(context.Context, *notes)
}

// attempts returns the launch attempts; EC2 chooses unknown places.
func (p *plan) attempts() []launch.Attempt {
	if p.Launch == nil {
		return nil
	}
	n, err := p.network()
	if err != nil || len(n.places) == 0 {
		n.places = []launch.Place{{}}
	}
	return launch.Attempts(p.Launch.Types, p.Launch.Markets, n.places)
}

// inRegions calls a function for all usable image regions concurrently.
func (p *plan) inRegions(n *notes, ask func(region string, n *notes)) {
	regions, _ := p.regions()
	parts := make([]notes, len(regions))
	all(len(regions), func(i int) { ask(regions[i], &parts[i]) })
	for i := range parts {
		n.take(&parts[i])
	}
}
