// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"fmt"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// verify asks AWS about every image and returns what tells their architecture.
func (p *PostProcessor) verify(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact, builds []cfntemplate.Build) (func(region, ami string) string, error) {
	seen := make(map[verifyami.Image]bool)
	var images []verifyami.Image
	for _, b := range builds {
		for region, id := range b.Images {
			if i := (verifyami.Image{Region: region, ID: id}); !seen[i] {
				seen[i] = true
				images = append(images, i)
			}
		}
	}
	sort.Slice(images, func(i, j int) bool {
		a, b := images[i], images[j]
		return a.Region < b.Region || a.Region == b.Region && a.ID < b.ID
	})
	client, err := p.clients(ctx, source, images[0].Region)
	if err != nil {
		return nil, fmt.Errorf("verify_amis: %w", err)
	}
	v := verifyami.Verifier{
		Client:   client,
		Accounts: p.config.LaunchAccounts,
		Say:      func(s string) { ui.Say(s) },
		Wait:     p.config.VerifyTimeout,
	}
	found, err := v.Verify(ctx, images)
	if err != nil {
		return nil, fmt.Errorf("verify_amis, which would leave this check out if it were false:\n%w", err)
	}
	arch := make(map[verifyami.Image]string, len(images))
	for i, image := range images {
		arch[image] = found[i]
	}
	return func(region, ami string) string { return arch[verifyami.Image{Region: region, ID: ami}] }, nil
}

// clients returns what makes the EC2 client of a region: that of the rehearsal
// if the images are of one, which are never asked for anywhere else.
func (p *PostProcessor) clients(ctx context.Context, source packersdk.Artifact, region string) (func(context.Context, string) (verifyami.API, error), error) {
	if p.describer != nil {
		return p.describer, nil
	}
	if isRehearsal(source) {
		folder, _ := source.State(stateRehearsalFolder).(string)
		session, err := rehearsal.Find(ctx, folder)
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, region string) (verifyami.API, error) {
			return ec2api.New(session.AWSConfig(region), "").EC2(region), nil
		}, nil
	}
	base, err := p.baseConfig(ctx, region)
	if err != nil {
		return nil, err
	}
	all := ec2api.New(*base, p.config.CustomEndpointEc2)
	return func(_ context.Context, region string) (verifyami.API, error) { return all.EC2(region), nil }, nil
}

// baseConfig is the configuration of the user's account; region is taken where
// none is set.
func (p *PostProcessor) baseConfig(ctx context.Context, region string) (*aws.Config, error) {
	access := ec2api.Access(&p.config.AccessConfig)
	if errs := access.Prepare(&p.config.PackerConfig); len(errs) > 0 {
		return nil, errs[0]
	}
	if access.RawRegion == "" {
		access.RawRegion = region
	}
	return access.Config(ctx)
}
