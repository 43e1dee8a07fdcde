// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// Preflight checks the configuration against AWS before anything is created.
type Preflight struct{ noCleanup }

func (Preflight) Facts() (needs, yields []Fact) { return facts(Adopted, BuildImage), facts(Places) }

func (Preflight) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if b.Config.Preflight == options.PreflightOff {
		ui.Say("Skipping the preflight (preflight = \"off\"): problems with regions, names, quotas, keys or permissions appear only later in the build")
		return multistep.ActionContinue
	}
	plan, err := b.preflightPlan(ui)
	if err != nil {
		return Halt(state, "preflight: %w", err)
	}
	ui.Sayf("Checking %s before anything is created...", plan.Scope())
	b.CheckedLater = plan.Later != nil
	begun := time.Now()
	clients := cloud(b.Clients)
	clients.Prices = b.priceSources()
	report, err := preflight.Run(ctx, plan, clients)
	if err != nil {
		return Halt(state, "preflight: %w", err)
	}
	for _, line := range report.Warnings() {
		ui.Say("Warning: " + line)
	}
	if err := report.Err(); err != nil {
		return Halt(state, "preflight: %w", err)
	}
	ui.Sayf("Preflight passed: %d checks in %.1f s (%s)",
		len(report.Checks), time.Since(begun).Seconds(), strings.Join(report.Checks, ", "))
	b.sayCost(ui, report.Cost)
	if b.Config.Preflight == options.PreflightOnly {
		b.Checked = true
		ui.Say("Minimum IAM policy for this build (statements whose Sid starts with Optional are not required):\n" + policy.Least(b.Config.PolicyNeeds(b.Clients.Region())).JSON())
		for _, a := range b.Config.AMIAccounts {
			ui.Say("Minimum IAM policy of " + a.RoleARN + ":\n" + policy.LeastOfRole(b.Config.RoleNeeds(a)).JSON())
		}
		ui.Say("Nothing was created (preflight = \"only\")")
	}
	return multistep.ActionContinue
}

// cloud returns the clients of the checks. It avoids typed nils, which would not
// compare as nil.
func cloud(clients *awsclient.Clients) preflight.Cloud {
	c := preflight.Cloud{EC2: func(region string) preflight.EC2 { return clients.EC2(region) }}
	if quotas := clients.Quotas(); quotas != nil {
		c.Quotas = quotas
	}
	if identity := clients.STS(); identity != nil {
		c.Identity = identity
		c.Keys = func(region string) preflight.Keyring { return clients.KMS(region) }
	}
	return c
}

// preflightPlan returns the plan to check. It skips the checks of a launch if the
// image exists, and the checks of an image if none is created.
func (b *Build) preflightPlan(ui packersdk.Ui) (preflight.Plan, error) {
	c, home := b.Config, b.Clients.Region()
	plan := preflight.Plan{BuildRegion: home, SkipRegions: c.AMISkipRegionValidation, Has: map[string]bool{}}
	plan.Session = b.session(time.Now())
	for region := range b.adopted {
		plan.Has[region] = true
	}
	for _, region := range b.spared {
		plan.Has[region] = true
	}
	plan.Cost = b.cost(plan.Has)
	if !b.Sourced {
		source, err := c.SourceQuestion()
		if err != nil {
			return plan, err
		}
		plan.Launch = &preflight.Launch{
			Types: c.InstanceTypes, Markets: c.MarketList(), Source: source, Address: c.Address(), NamedPlaces: c.NamesPlaces(),
			Network: func(ctx context.Context) (string, []launch.Place, error) {
				err := b.findNetwork(ctx, ui)
				return b.vpc, b.places, err
			},
			DedicatedHost: c.InstanceTenancy() == ec2types.TenancyHost, Devices: c.Devices(),
			Block: c.CapacityBlock(), BuildTime: c.MaxBuildTime,
			DryRun: b.dryLaunch,
		}
		plan.Calls = append(plan.Calls, b.dryPreparations()...)
		plan.Keys = append(plan.Keys, c.VolumeKeys(home)...)
	}
	if c.SkipCreateAMI {
		return plan, nil
	}
	plan.ImageRegions = c.ImageRegions(home)
	plan.Tests = b.testLaunches(plan.Launch)
	if !c.AMIForceDeregister {
		plan.ImageName, plan.BuildID = c.AMIName, c.ID()
	}
	plan.Sharing = preflight.Sharing{
		Users: c.AMIUsers, Groups: c.AMIGroups, OrgARNs: c.AMIOrgArns, OUARNs: c.AMIOuArns,
		SnapshotUsers: c.SnapshotUsers, SnapshotGroups: c.SnapshotGroups, ForCopies: len(c.AMIAccounts) > 0,
	}
	for i, a := range c.AMIAccounts {
		plan.Accounts = append(plan.Accounts, preflight.Account{
			Attribute: fmt.Sprintf("ami_accounts[%d]", i), ID: a.ID, Role: a.RoleARN, Regions: c.RegionsOf(a, home), Keys: a.KMSKeyIDs,
			ImageName: c.AMIName, BuildID: c.ID(), Cloud: cloud(b.others[a.ID]),
		})
	}
	if attribute := c.EncryptedVolume(); attribute != "" && !b.Sourced && !c.AMIEncryptBootVolume.True() {
		for _, target := range c.Targets(home) { // a copy without a key uses the region's default key
			if target.Region != home && !plan.Has[target.Region] {
				plan.Keys = append(plan.Keys, preflight.Key{Attribute: attribute, Region: target.Region, OfImage: true})
			}
		}
	}
	for _, target := range c.Targets(home) {
		if aws.ToBool(target.Encrypted) && !plan.Has[target.Region] {
			key := preflight.Key{Attribute: "region_kms_key_ids", Region: target.Region, ID: target.KMSKeyID, OfImage: true}
			if c.AMIRegionKMSKeyIDs[target.Region] == "" {
				key.Attribute = "kms_key_id"
			}
			plan.Keys = append(plan.Keys, key)
		}
	}
	plan.Encrypted = b.Sourced && b.image.Encrypted && !c.AMIEncryptBootVolume.True()
	plan.Calls = append(plan.Calls, b.dryCopies()...)
	if c.Publishing() {
		plan.Later, plan.Architecture = b.publishing(plan.ImageRegions), b.Report.Architecture
	}
	return plan, nil
}

// testLaunches returns the launches of the launch tests, besides those that the check of
// the build's own launch covers.
func (b *Build) testLaunches(own *preflight.Launch) (tests []preflight.Test) {
	c, home := b.Config, b.Clients.Region()
	for _, region := range c.TestedRegions(home) {
		types := c.TestTypes("")
		if region == home && own != nil && !slices.ContainsFunc(types, func(t string) bool { return !slices.Contains(own.Types, t) }) {
			continue
		}
		t := preflight.Test{
			Region: region, Types: types, Markets: c.TestMarkets(region == home), DedicatedHost: c.InstanceTenancy() == ec2types.TenancyHost, Required: c.LaunchTest.Required,
		}
		if quotas := b.Clients.In(region).Quotas(); quotas != nil {
			t.Quotas = quotas
		}
		tests = append(tests, t)
	}
	return tests
}

// session returns how long the credentials last, and when the build may end.
func (b *Build) session(now time.Time) (s preflight.Session) {
	if b.Config.Rehearsal {
		return s // reads no credentials
	}
	s.Expires, s.Source = awsclient.Expiry(&b.Config.AccessConfig, now)
	s.Ends, s.Why = b.Config.LatestEnd(now, b.Clients.Region(), !b.Sourced)
	return s
}

// Publishing checks the requests that the post-processor ethminer-cfn will make.
func (b *Build) publishing(regions []string) *preflight.Later {
	return &preflight.Later{Name: "publishing", Check: func(ctx context.Context, architecture string) []preflight.Finding {
		settings := &b.Config.EthminerCFN
		var found []preflight.Finding
		add := func(warning bool, errs ...error) {
			for _, err := range errs {
				found = append(found, preflight.Finding{Attribute: cfnsettings.OfBuilder, Value: err.Error(), Warning: warning})
			}
		}
		if err := settings.CheckWritable(); err != nil {
			add(false, err)
		}
		forecast, err := settings.Forecast(cfnsettings.Build{
			Name: b.Config.PackerBuildName, Architecture: architecture, Regions: regions, Sharing: b.sharing(ctx),
		})
		if err != nil {
			add(false, err)
		}
		if forecast == nil {
			return found
		}
		publisher := publish.Publisher{Clients: b.Clients, AWS: b.awsCLI(), Patience: time.Second}
		outlook := publisher.Forecast(ctx, *forecast)
		add(false, outlook.Problems...)
		for _, line := range outlook.Warnings {
			add(true, errors.New(line))
		}
		return found
	}}
}

// sharing returns who may launch the images of the build. An empty owner means
// that the owner of the images is unknown.
func (b *Build) sharing(ctx context.Context) publish.Sharing {
	c := b.Config
	s := publish.Sharing{
		Public: slices.Contains(c.AMIGroups, "all"), Accounts: c.AMIUsers, OrganizationARNs: c.AMIOrgArns, OrganizationUnits: c.AMIOuArns,
	}
	if identity := b.Clients.STS(); identity != nil {
		if out, err := identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil {
			s.Owner = aws.ToString(out.Account)
		}
	}
	return s
}
