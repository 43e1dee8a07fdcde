// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package preflight finds out what would make a build fail, before anything
// is created or paid for.
//
// A check is a file. Its calls are made in a method of plan, beside those of
// all other checks; what the answers mean is decided in functions that call
// nothing. A check that the build does not need makes no call. One that AWS
// does not let ask, or that gets no answer, leaves a Gap: the build goes on.
//
// A build may launch in several ways (package launch calls each a rung). What
// is wrong with some of them is a warning while another remains, and an error
// where none does.
//
// With r regions that get an image, t types, m markets and q quotas that they
// count against, and s pages of running instances, the calls are at most
//
//	9 + t*m + q + s            in the build's region
//	r * (1 + 1 + 2 + 2)        in all regions: name, copy, public access, key or encryption
//
// of which a build that neither encrypts nor shares its image makes r * 2.
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

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Plan is what a build wants of AWS.
type Plan struct {
	// BuildRegion is where the instance runs.
	BuildRegion string
	// ImageRegions will hold an image each.
	ImageRegions []string
	// SkipRegions trusts the names (skip_region_validation).
	SkipRegions bool
	// ImageName must be free in each of them; empty skips the check.
	ImageName string
	// Has are the regions that have their image already, so that its name is
	// taken by itself.
	Has map[string]bool
	// Launch is the instance; nil where the build launches none.
	Launch *Launch
	// Sharing is who besides the account gets the images.
	Sharing Sharing
	// Keys encrypt the images; empty where they are not encrypted.
	Keys []Key
	// Calls are what the build will ask AWS to make, as dry runs, apart from
	// the launch.
	Calls []DryRun
}

// Scope says, for people, what a plan is about.
func (p Plan) Scope() string {
	switch n := len(p.ImageRegions); {
	case n == 0:
		return "the launch in " + p.BuildRegion
	case p.Launch == nil:
		return fmt.Sprintf("the copies to %d regions", n)
	case n == 1:
		return fmt.Sprintf("the launch in %s, and 1 region", p.BuildRegion)
	default:
		return fmt.Sprintf("the launch in %s, and %d regions", p.BuildRegion, n)
	}
}

// Launch is how the instance may be launched.
type Launch struct {
	Types   []string
	Markets []launch.Market
	// Network finds the VPC, empty for the default one, and the places. Its
	// error names the attribute that is wrong.
	Network func(context.Context) (vpc string, places []launch.Place, err error)
	// NamedPlaces says that the user has named the places, so that one which
	// cannot be had deserves a word.
	NamedPlaces bool
	// Source is the question for the source image, in the build's region.
	Source Source
	// Address is whether the build must reach the instance's public address.
	Address Address
	// DryRun launches a rung, as a dry run.
	DryRun func(ctx context.Context, image ec2types.Image, rung launch.Rung) error
}

// EC2 is what the checks ask of EC2 in a region.
type EC2 interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeInstancesAPIClient
	ec2.DescribeInstanceTypesAPIClient
	ec2.DescribeInstanceTypeOfferingsAPIClient
	ec2.DescribeRouteTablesAPIClient
	ec2.DescribeSubnetsAPIClient
	DescribeRegions(context.Context, *ec2.DescribeRegionsInput, ...func(*ec2.Options)) (*ec2.DescribeRegionsOutput, error)
	GetEbsDefaultKmsKeyId(context.Context, *ec2.GetEbsDefaultKmsKeyIdInput, ...func(*ec2.Options)) (*ec2.GetEbsDefaultKmsKeyIdOutput, error)
	GetEbsEncryptionByDefault(context.Context, *ec2.GetEbsEncryptionByDefaultInput, ...func(*ec2.Options)) (*ec2.GetEbsEncryptionByDefaultOutput, error)
	GetImageBlockPublicAccessState(context.Context, *ec2.GetImageBlockPublicAccessStateInput, ...func(*ec2.Options)) (*ec2.GetImageBlockPublicAccessStateOutput, error)
	GetSnapshotBlockPublicAccessState(context.Context, *ec2.GetSnapshotBlockPublicAccessStateInput, ...func(*ec2.Options)) (*ec2.GetSnapshotBlockPublicAccessStateOutput, error)
}

// Keyring is what they ask of KMS in a region.
type Keyring interface {
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	GetKeyPolicy(context.Context, *kms.GetKeyPolicyInput, ...func(*kms.Options)) (*kms.GetKeyPolicyOutput, error)
}

// Quotas is what they ask of Service Quotas in the build's region.
type Quotas interface {
	GetServiceQuota(context.Context, *servicequotas.GetServiceQuotaInput, ...func(*servicequotas.Options)) (*servicequotas.GetServiceQuotaOutput, error)
}

// Identity is what they ask of STS.
type Identity interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// Cloud is where the questions go. What is nil is not asked: an AWS look-alike
// may have EC2 alone.
type Cloud struct {
	EC2      func(region string) EC2
	Keys     func(region string) Keyring
	Quotas   Quotas
	Identity Identity
}

// patience is how long all checks together may take; what has not answered by
// then is not known.
const patience = 20 * time.Second

// few is for questions that the build can do without the answer to.
var few = ec2api.FewTries

// plan is a Plan while it is checked.
type plan struct {
	Plan
	cloud Cloud
	home  EC2 // of the build's region

	// What several checks want to know is asked once.
	source  func() (ec2types.Image, error)
	types   func() (map[string]ec2types.InstanceTypeInfo, error)
	network func() (network, error)
	regions func() ([]string, error) // those of ImageRegions that can be asked

	regionNotes notes
}

type network struct {
	vpc    string
	places []launch.Place
}

// Run makes all checks at the same time. Its error is the context's.
func Run(ctx context.Context, wanted Plan, cloud Cloud) (Report, error) {
	asking, cancel := context.WithTimeout(ctx, patience)
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
		{"quotas", p.Launch != nil && cloud.Quotas != nil, p.quotas},
		{"keys", len(p.Keys) > 0, p.keys},
		{"encryption", p.Sharing.any(), p.encryption},
		{"public access", p.Sharing.publicImages() || p.Sharing.publicSnapshots(), p.publicAccess},
		{"permissions", p.Launch != nil || len(p.Calls) > 0, p.permissions},
	}
	checks = slices.DeleteFunc(checks, func(c check) bool { return !c.needed })
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
	report.dropEchoes()
	report.decide(p.rungs())
	return report, nil
}

// check is one file's.
type check struct {
	name   string
	needed bool
	run    func(context.Context, *notes)
}

// rungs are the ways to launch; places that are not known are left to EC2.
func (p *plan) rungs() []launch.Rung {
	if p.Launch == nil {
		return nil
	}
	n, err := p.network()
	if err != nil || len(n.places) == 0 {
		n.places = []launch.Place{{}}
	}
	return launch.Rungs(p.Launch.Types, p.Launch.Markets, n.places)
}

// inRegions calls with every image's region that can be asked, all at once.
func (p *plan) inRegions(n *notes, ask func(region string, n *notes)) {
	regions, _ := p.regions()
	parts := make([]notes, len(regions))
	all(len(regions), func(i int) { ask(regions[i], &parts[i]) })
	for i := range parts {
		n.take(&parts[i])
	}
}
