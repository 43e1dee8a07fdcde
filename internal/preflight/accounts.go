// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// Account is another account that copies the images.
type Account struct {
	Attribute string // of the configuration
	ID, Role  string
	Regions   []string
	Keys      map[string]string // of the copies, by region
	ImageName string
	BuildID   string // whose images may have the name already
	Cloud     Cloud  // clients with the credentials of the role
}

// accounts checks that each account's role can be assumed and belongs to the account,
// that the account has opted in to the regions and has the keys, and that the images'
// name is free there.
func (p *plan) accounts(ctx context.Context, n *notes) {
	parts := make([]notes, len(p.Accounts))
	all(len(p.Accounts), func(i int) { p.otherAccount(ctx, p.Accounts[i], &parts[i]) })
	for i := range parts {
		n.take(&parts[i])
	}
}

func (p *plan) otherAccount(ctx context.Context, a Account, n *notes) {
	if a.Cloud.Identity == nil {
		n.find(Finding{Attribute: a.Attribute, Value: "the endpoint serves only EC2", Expected: "one with STS, as a role of another account is assumed"})
		return
	}
	who, err := a.Cloud.Identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch {
	case ctx.Err() != nil, awsclient.IsOutage(err), awsclient.IsThrottle(err):
		n.gap("whether the role of account "+a.ID+" can be assumed", "sts:AssumeRole", err)
		return
	case err != nil:
		n.find(Finding{
			Attribute: a.Attribute + ".role_arn", Value: fmt.Sprintf("could not assume %s (%s)", a.Role, awsclient.Plain(err)),
			Expected: "a role that the build's credentials can assume",
			Remedy:   "the role's trust policy must include them (and external_id, if it requires one), and their own policy must allow sts:AssumeRole",
		})
		return
	case aws.ToString(who.Account) != a.ID:
		n.find(Finding{
			Attribute: a.Attribute + ".id", Value: fmt.Sprintf("got %q, but %s belongs to account %s", a.ID, a.Role, aws.ToString(who.Account)),
			Expected: "the account of the role", Remedy: "correct id or role_arn",
		})
		return
	}
	good := p.openRegions(ctx, a, n)
	parts := make([]notes, len(good))
	all(len(good), func(i int) {
		a.freeName(ctx, good[i], &parts[i])
		a.key(ctx, good[i], &parts[i])
	})
	for i := range parts {
		n.take(&parts[i])
	}
}

// openRegions returns the regions that an account has opted in to.
func (p *plan) openRegions(ctx context.Context, a Account, n *notes) []string {
	if p.SkipRegions {
		return a.Regions
	}
	out, err := a.Cloud.EC2(p.BuildRegion).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)}, few)
	if err != nil {
		n.gap("the regions of account "+a.ID, "ec2:DescribeRegions", err)
		return a.Regions
	}
	good, findings := judgeRegions(a.Regions, out.Regions)
	for _, f := range findings {
		f.Attribute = a.Attribute + ".regions"
		f.Value = strings.Replace(f.Value, "the account has", "account "+a.ID+" has", 1)
		n.find(f)
	}
	return good
}

// freeName checks that the account has no image of the name, except of this build.
func (a Account) freeName(ctx context.Context, region string, n *notes) {
	image, err := named(ctx, a.Cloud.EC2(region), a.ImageName)
	switch {
	case awsclient.IsUnauthorized(err):
		n.find(judgeDryRuns([]outcome{deniedImages(region+" of account "+a.ID, err)})...)
	case err != nil:
		n.gap("whether ami_name is available in account "+a.ID, "ec2:DescribeImages", err)
	case image != nil && !ofBuild(*image, a.BuildID):
		n.find(Finding{
			Attribute: "ami_name", Value: fmt.Sprintf("got %q, which is in use in %s of account %s by %s", a.ImageName, region, a.ID, aws.ToString(image.ImageId)),
			Remedy: "remove ami_name for a new name each time, choose another, or deregister that image; force_deregister has no effect in other accounts",
		})
	}
}

// key checks the key of a copy.
func (a Account) key(ctx context.Context, region string, n *notes) {
	id := a.Keys[region]
	if id == "" || a.Cloud.Keys == nil {
		return
	}
	key := Key{Attribute: fmt.Sprintf("%s.kms_key_ids[%q]", a.Attribute, region), Region: region, ID: id}
	out, err := a.Cloud.Keys(region).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		if missing := judgeKeyError(key, err); missing != nil {
			missing.Value += " of account " + a.ID
			n.find(*missing)
			return
		}
		n.gap("whether the keys of account "+a.ID+" are usable", "kms:DescribeKey", err)
		return
	}
	n.find(judgeKey(key, out.KeyMetadata, false)...)
}
