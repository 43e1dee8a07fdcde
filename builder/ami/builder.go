// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ami is the builder ethminer-ami: an AMI from a GPU instance,
// distributed to many regions.
//
// Run below reads as the plan of a build; each step is a file.
package ami

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/hashicorp/hcl/v2/hcldec"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/communicator"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/multistep/commonsteps"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/packerbuilderdata"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// Builder is the component.
type Builder struct {
	config Config
	// connect returns the clients; nil is the configured account, or the
	// rehearsal.
	connect func(context.Context, packersdk.Ui) (*ec2api.Clients, error)
	// patience is for calls that AWS may accept later.
	patience distribute.Backoff
	// launching is how long to wait between launches.
	launching launch.Patience
	// watching is how often a spot instance is looked after; 0 is watchInterval.
	watching time.Duration
	// callerAddress asks for this machine's public address; nil asks AWS's service.
	callerAddress func(context.Context) (netip.Addr, error)
}

var _ packersdk.Builder = (*Builder)(nil)

// ConfigSpec describes the block to Packer.
func (b *Builder) ConfigSpec() hcldec.ObjectSpec { return b.config.spec() }

// Prepare checks the configuration.
func (b *Builder) Prepare(raws ...any) ([]string, []string, error) {
	warnings, err := b.config.prepare(raws...)
	if err != nil {
		return nil, warnings, err
	}
	return awscommon.GetGeneratedDataList(), warnings, nil
}

// Run builds the image and its copies. It returns no artifact where none was
// asked for (skip_create_ami).
func (b *Builder) Run(ctx context.Context, ui packersdk.Ui, hook packersdk.Hook) (packersdk.Artifact, error) {
	c := &b.config
	connect := b.connect
	if connect == nil {
		connect = c.connect
	}
	clients, err := connect(ctx, ui)
	if err != nil {
		return nil, err
	}
	maps.Copy(c.RunTags, c.lifetimeTags(time.Now()))
	job := &build{
		config:   c,
		clients:  clients,
		wait:     c.waiter(),
		patience: b.patience,
		ledger:   new(ledger.Ledger),
		report: report{
			BuildID:       c.buildID,
			PluginVersion: version.PluginVersion.FormattedVersion(),
			Rehearsal:     c.Rehearsal,
			BuildRegion:   clients.Region(),
			Regions:       c.imageRegions(clients.Region()),
		},
	}
	job.wait.Note = job.waits.note
	if job.launching = b.launching; job.launching.Tries == 0 {
		job.launching = launch.Default
	}
	job.prices, job.watching = c.priceList(clients), cmp.Or(b.watching, watchInterval)
	if job.patience.Tries == 0 {
		job.patience = distribute.Patience
	}
	job.replaces, job.made = map[string]bool{}, map[string]distribute.Image{}
	job.adopted, job.inherited = map[string]distribute.Image{}, map[string]string{}
	state := new(multistep.BasicStateBag)
	state.Put(keyBuild, job)
	state.Put(keyUI, ui)
	state.Put("hook", hook)
	state.Put(keyClient, &temporaries{Ec2Client: clients.EC2(clients.Region()), ledger: job.ledger, region: clients.Region(), ui: ui, keys: map[string]string{}})
	state.Put("iam", iam.NewFromConfig(*clients.Config()))
	state.Put("aws_config", clients.Config())
	state.Put("region", clients.Region())

	plan, making := b.steps(ctx, state, clients)
	runner := commonsteps.NewRunner(plan, c.PackerConfig, ui)
	guard(runner, making)
	runner.Run(ctx, state)

	if job.checked {
		return nil, nil
	}
	if !job.done {
		job.reportLeft(ui)
		job.reportAdopted(ui)
		job.reportCommitted(ui)
		if err, ok := state.GetOk(keyError); ok {
			return nil, err.(error)
		}
		return nil, errors.New("the build was cancelled")
	}
	if len(job.images) == 0 {
		job.reportLeft(ui)
		return nil, nil
	}
	artifact, err := job.artifact(state)
	job.reportLeft(ui) // such as an intermediary image that could not be removed
	if !c.DeregisterOnDestroy {
		ui.Say(saySaved(len(job.images)))
	}
	return artifact, err
}

// reportLeft names what the build has made and could neither delete nor hand
// over, with the commands that remove it.
func (j *build) reportLeft(ui packersdk.Ui) {
	for _, entry := range j.ledger.Left() {
		ui.Errorf("left behind: %s %s in %s. To remove it:\n  %s", entry.Kind, entry.ID, entry.Region, j.command(entry))
	}
}

// reportAdopted says what a failed run found and let be, and keeps a sweep from
// taking it for a dead build's.
func (j *build) reportAdopted(ui packersdk.Ui) {
	if !j.report.Resumed || len(j.adopted) == 0 || j.config.Preflight == preflightOnly {
		return
	}
	ctx, cancel := cleanupContext()
	defer cancel()
	finish := j.finish(ui.Sayf)
	err := j.inAllRegions(j.unreleased, func(image distribute.Image) error {
		return finish.Tag(ctx, j.clients.EC2(image.Region), image, ec2Tags(map[string]string{tags.State: tags.Held}))
	})
	if err != nil {
		ui.Errorf("a sweep may take what there is for a dead build's after its %s: %s", tags.Expires, err)
	}
	ui.Sayf("What build %s had before this run is still there, in %s. %s",
		j.config.buildID, strings.Join(slices.Sorted(maps.Keys(j.adopted)), ", "), j.howToResume())
}

// command is the AWS CLI's that deletes a resource, which in a rehearsal is
// kept from ever reaching an account.
func (j *build) command(entry ledger.Entry) string {
	if !j.config.Rehearsal {
		return entry.Command()
	}
	return strings.Replace(entry.Command(), "aws ", "aws --endpoint-url "+aws.ToString(j.clients.Config().BaseEndpoint)+" ", 1)
}

// steps is the plan, and the names of those steps that make the image.
func (b *Builder) steps(ctx context.Context, state multistep.StateBag, clients *ec2api.Clients) (plan []multistep.Step, making map[string]bool) {
	c := &b.config
	source := &awscommon.StepSourceAMIInfo{
		SourceAmi:                c.SourceAmi,
		AmiFilters:               c.SourceAmiFilter,
		AMIVirtType:              c.AMIVirtType,
		EnableAMISriovNetSupport: c.AMISriovNetSupport,
		EnableAMIENASupport:      c.AMIENASupport,
	}
	makeImage := b.makeImage(ctx, state, clients)
	making = map[string]bool{stepName(source): true}
	for _, step := range makeImage {
		making[stepName(step)] = true
		if anew, nests := step.(*stepAnew); nests {
			for _, inner := range anew.steps {
				making[stepName(inner)] = true
			}
		}
	}
	plan = append(plan, stepAdopt{}, stepPreflight{})
	if c.Preflight == preflightOnly {
		return plan, making
	}
	plan = append(plan, source, stepFindOld{})
	plan = append(plan, makeImage...)
	return append(plan, stepAwaitSource{}, stepDistribute{}, stepRelease{}, stepReplace{}, stepProtect{}, stepRetire{}), making
}

// makeImage is the part of the plan that a resumed build or a copy needs not.
func (b *Builder) makeImage(ctx context.Context, state multistep.StateBag, clients *ec2api.Clients) []multistep.Step {
	c := &b.config
	group := &awscommon.StepSecurityGroup{
		PollingConfig:    c.PollingConfig,
		CommConfig:       &c.Comm,
		SecurityGroupIds: c.SecurityGroupIds, SecurityGroupFilter: c.SecurityGroupFilter,
		TemporarySGSourceCidrs:    c.TemporarySGSourceCidrs,
		TemporarySGSourcePublicIp: c.TemporarySGSourcePublicIp,
		// Else it opens port 0 where nothing connects.
		SkipSSHRuleCreation: c.SSMAgentEnabled() || c.Comm.Type == "none",
		Tags:                c.RunTags, Ctx: c.ctx,
	}
	ask := b.callerAddress
	if ask == nil {
		ask = askCallerAddress
	}
	steps := []multistep.Step{
		stepOlderBuilds{},
		stepNetwork{},
		stepCallerAddress{group: group, ask: ask},
		&stepKeyPair{awscommon.StepKeyPair{
			Debug: c.PackerDebug, DebugKeyPath: fmt.Sprintf("ec2_%s.pem", c.PackerBuildName),
			Comm: &c.Comm, Tags: c.RunTags, Ctx: c.ctx,
		}},
		group,
		&awscommon.StepIamInstanceProfile{
			PollingConfig:                             c.PollingConfig,
			IamInstanceProfile:                        c.IamInstanceProfile,
			SkipProfileValidation:                     c.SkipProfileValidation,
			TemporaryIamInstanceProfilePolicyDocument: c.TemporaryIamInstanceProfilePolicyDocument,
			Tags: c.RunTags, Ctx: c.ctx,
		},
		&awscommon.StepCleanupVolumes{LaunchMappings: c.LaunchMappings},
		stepArm{},
	}
	onInstance := append([]multistep.Step{stepLaunch{}}, b.provision(ctx, state, clients)...)
	if n := c.launchRestarts(); n > 0 {
		onInstance = []multistep.Step{&stepAnew{steps: onInstance, restarts: n}}
	}
	steps = append(steps, onInstance...)
	steps = append(steps, stepStop{}, stepDisarm{})
	if !c.SkipCreateAMI { // it modifies the instance, which must have stopped
		steps = append(steps, &awscommon.StepModifyEBSBackedInstance{
			EnableAMISriovNetSupport: c.AMISriovNetSupport,
			EnableAMIENASupport:      c.AMIENASupport,
		})
	}
	return append(steps,
		stepCreateImage{},
		stepTerminate{},
	)
}

// provision is the part of the plan that logs in to the instance.
func (b *Builder) provision(ctx context.Context, state multistep.StateBag, clients *ec2api.Clients) []multistep.Step {
	c := &b.config
	generated := &packerbuilderdata.GeneratedData{State: state}
	configured := c.Comm.Host() // the communicator writes over it
	if c.Rehearsal && c.RehearsalInstance == rehearsal.NoInstance {
		return []multistep.Step{
			stepSkipProvision{},
			&awscommon.StepSetGeneratedData{GeneratedData: generated},
		}
	}
	return []multistep.Step{
		&awscommon.StepCreateSSMTunnel{
			AwsConfig: *clients.Config(), Region: clients.Region(),
			PauseBeforeSSM: c.PauseBeforeSSM, LocalPortNumber: c.SessionManagerPort,
			RemotePortNumber: c.Comm.Port(), SSMAgentEnabled: c.SSMAgentEnabled(),
			SSHConfig: &c.Comm.SSH,
		},
		&stepConnect{host: configured, StepConnect: communicator.StepConnect{
			Config: &c.Comm,
			Host: func(state multistep.StateBag) (string, error) {
				// Made anew each time: it remembers its answer, and the instance
				// may be another one by now (spot_restarts).
				return awscommon.SSHHost(ctx, clients.EC2(clients.Region()), c.SSHInterface, configured)(state)
			},
			SSHPort:   awscommon.Port(c.SSHInterface, c.Comm.Port()),
			SSHConfig: c.Comm.SSHConfigFunc(),
		}},
		&awscommon.StepSetGeneratedData{GeneratedData: generated},
		&commonsteps.StepProvision{},
		stepReadBenchmark{},
		&commonsteps.StepCleanupTempKeys{Comm: &c.Comm},
	}
}

// stepSkipProvision says that a rehearsal has nothing to log in to.
type stepSkipProvision struct{ noCleanup }

func (stepSkipProvision) Run(_ context.Context, state multistep.StateBag) multistep.StepAction {
	uiOf(state).Say("Skipping the provisioners: rehearsal_instance = \"none\" has nothing to log in to")
	return multistep.ActionContinue
}

// handOver makes the images the user's.
func (j *build) handOver() {
	for _, image := range j.images {
		j.ledger.Strike(image.Region, image.ID)
		for _, snapshot := range image.Snapshots {
			j.ledger.Strike(image.Region, snapshot)
		}
	}
}

// artifact hands the images over.
func (j *build) artifact(state multistep.StateBag) (packersdk.Artifact, error) {
	images := map[string]distribute.Image{}
	j.report.Images, j.report.Snapshots = map[string]string{}, map[string][]string{}
	for _, image := range j.images {
		images[image.Region] = image
		j.report.Images[image.Region] = image.ID
		j.report.Snapshots[image.Region] = image.Snapshots
	}
	j.handOver()
	generated, _ := state.Get(keyGeneratedData).(map[string]any)
	j.report.SourceImage, _ = generated["SourceAMI"].(string)
	j.report.CopiedFrom = j.inherited[tags.CopiedFrom]
	text, err := j.report.json()
	if err != nil {
		return nil, fmt.Errorf("writing the build's report: %w", err)
	}
	return &Artifact{
		images:     images,
		clients:    j.clients,
		measured:   j.measured,
		missing:    slices.Sorted(maps.Keys(j.report.FailedRegions)),
		command:    j.command,
		deregister: j.config.DeregisterOnDestroy,
		state: map[string]any{
			keyGeneratedData:  generated,
			StateBuild:        text,
			StateRehearsal:    j.config.Rehearsal,
			StateRehearsalDir: j.config.RehearsalState,
		},
	}, nil
}
