// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"fmt"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// verify checks every image in EC2 and returns a function that looks up an
// image's architecture.
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
	client, err := p.clients(ctx, source, images[0].Region, ui.Say)
	if err != nil {
		return nil, fmt.Errorf("verify_amis: %w", err)
	}
	v := verifyami.Verifier{
		Client:   client,
		Accounts: p.config.LaunchAccounts,
		Tested:   p.config.RequireLaunchTest,
		Say:      func(s string) { ui.Say(s) },
		Wait:     p.config.VerifyTimeout,
	}
	found, err := v.Verify(ctx, images)
	if err != nil {
		return nil, fmt.Errorf("verify_amis: the check failed; set verify_amis = false to skip it:\n%w", err)
	}
	arch := make(map[verifyami.Image]string, len(images))
	for i, image := range images {
		arch[image] = found[i]
	}
	return func(region, ami string) string { return arch[verifyami.Image{Region: region, ID: ami}] }, nil
}

// clients returns a function that returns the EC2 client of a region. Images of a
// rehearsal are looked up only in that rehearsal.
func (p *PostProcessor) clients(ctx context.Context, source packersdk.Artifact, region string, say func(string)) (func(context.Context, string) (verifyami.API, error), error) {
	if p.describer != nil {
		return p.describer, nil
	}
	if isRehearsal(source) {
		folder, _ := source.State(artifact.StateRehearsalDir).(string)
		session, err := rehearsal.Find(ctx, folder)
		if err != nil {
			return nil, err
		}
		all := awsclient.New(session.AWSConfig(region), "").ReportOutages(say)
		return func(_ context.Context, region string) (verifyami.API, error) { return all.EC2(region), nil }, nil
	}
	base, err := p.baseConfig(ctx, region)
	if err != nil {
		return nil, err
	}
	all := awsclient.New(*base, p.config.CustomEndpointEc2).ReportOutages(say)
	return func(_ context.Context, region string) (verifyami.API, error) { return all.EC2(region), nil }, nil
}

// baseConfig returns the AWS configuration of the user's account, with region as
// the default region.
func (p *PostProcessor) baseConfig(ctx context.Context, region string) (*aws.Config, error) {
	access := awsclient.Access(&p.config.AccessConfig)
	if errs := awsclient.Prepare(&p.config.AccessConfig, &p.config.PackerConfig); len(errs) > 0 {
		return nil, errs[0]
	}
	if access.RawRegion == "" {
		access.RawRegion = region
	}
	return awsclient.Account(ctx, &p.config.AccessConfig)
}
