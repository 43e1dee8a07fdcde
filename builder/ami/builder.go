// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ami implements the builder ethminer-ami, which creates an AMI from a
// GPU instance and distributes it to many regions.
//
// Builder.Run runs a build, and plan lists its steps. The options are in options, the
// steps in steps.
package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/communicator"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/multistep/commonsteps"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/packerbuilderdata"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// Builder implements the builder component.
type Builder struct {
	config options.Config
	// connect returns the clients; nil means the configured account or the
	// rehearsal.
	connect func(context.Context, packersdk.Ui) (*awsclient.Clients, error)
	// pace is how long a build retries and waits.
	pace steps.Pace
	// callerAddress returns this machine's public address, see steps.CallerAddress.
	callerAddress func(context.Context) (netip.Addr, error)
	// checkLaunch replaces the login and the checks of launch tests; nil for the real ones.
	checkLaunch steps.MakeChecks
}

var _ packersdk.Builder = (*Builder)(nil)

// ConfigSpec returns the HCL2 schema of the source block.
func (b *Builder) ConfigSpec() hcldec.ObjectSpec { return b.config.Spec() }

// Prepare checks the configuration.
func (b *Builder) Prepare(raws ...any) ([]string, []string, error) {
	warnings, err := b.config.Prepare(raws...)
	if err != nil {
		return nil, warnings, err
	}
	return awscommon.GetGeneratedDataList(), warnings, nil
}

// Run builds the image and its copies. It returns no artifact if skip_create_ami
// is set.
func (b *Builder) Run(ctx context.Context, ui packersdk.Ui, hook packersdk.Hook) (packersdk.Artifact, error) {
	c := &b.config
	if err := c.EmptyLists(); err != nil {
		return nil, err
	}
	connect := b.connect
	if connect == nil {
		connect = func(ctx context.Context, ui packersdk.Ui) (*awsclient.Clients, error) {
			return connectClients(ctx, c, ui)
		}
	}
	clients, err := connect(ctx, ui)
	if err != nil {
		return nil, err
	}
	job, state := b.begin(clients, ui, hook)
	ui = steps.UIOf(state)
	if c.Preflight != options.PreflightOnly {
		ui.Sayf("Build ID: %s", c.ID())
	}

	ctx, end := context.WithCancel(ctx)
	defer end() // ends background work of steps without Cleanup (-on-error=abort)
	newRunner(b.plan(ctx, state, clients), c.PackerConfig, ui).Run(ctx, state)
	job.EndLaunchTests() // their clean-up also runs with -on-error=abort

	if job.Checked {
		return nil, nil
	}
	if !job.Done {
		job.ReportFailure(ui)
		if err, ok := state.GetOk(steps.KeyError); ok {
			return nil, pointedError{err.(error), job.CLI}
		}
		return nil, errors.New("the build was cancelled")
	}
	if len(job.Images) == 0 {
		job.ReportLeft(ui)
		return nil, nil
	}
	created, err := newArtifact(job, state)
	job.ReportLeft(ui) // for example, an intermediary image that could not be removed
	if err == nil && ctx.Err() != nil {
		// Packer discards the artifact of a cancelled build, and skips the
		// post-processors.
		ui.Error(created.cancelled(c.ID()))
		return nil, errors.New("the build was cancelled when its images were complete; they are kept")
	}
	if err != nil {
		return nil, err
	}
	if !c.DeregisterOnDestroy {
		ui.Sayf("%s (build ID %s)", saySaved(len(job.Images)+len(job.AccountImages)), c.ID())
	}
	created.text.Build.ReportTo(ui.Machine)
	return created, nil
}

// begin returns the state of a build that has not run a step.
func (b *Builder) begin(clients *awsclient.Clients, ui packersdk.Ui, hook packersdk.Hook) (*steps.Build, multistep.StateBag) {
	c := &b.config
	maps.Copy(c.RunTags, c.LifetimeTags(time.Now()))
	c.SettleSource(clients.Region())
	if c.RawRegion == "" { // else Prepare has warned
		for _, line := range c.CheckOwners(clients.Region()) {
			ui.Say("Warning: " + line)
		}
	}
	job := steps.NewBuild(c, clients, b.pace)
	clients.ReportOutages(ui.Say)
	return job, steps.NewState(job, pointedUI{ui, job.CLI}, hook)
}

// plan returns the steps of a build in their order.
func (b *Builder) plan(ctx context.Context, state multistep.StateBag, clients *awsclient.Clients) []planStep {
	c := &b.config
	plan := []planStep{
		{name: "adopt", looks: true, step: steps.Adopt{}},
		{name: "preflight", looks: true, step: steps.Preflight{}},
	}
	if c.Preflight == options.PreflightOnly {
		return plan
	}
	plan = append(plan,
		planStep{name: "source_ami_info", makes: true, step: &steps.SourceInfo{StepSourceAMIInfo: awscommon.StepSourceAMIInfo{
			SourceAmi:                c.SourceAmi,
			AmiFilters:               c.SourceAmiFilter,
			AMIVirtType:              c.AMIVirtType,
			EnableAMISriovNetSupport: c.AMISriovNetSupport,
			EnableAMIENASupport:      c.AMIENASupport,
		}}},
		planStep{name: "find_old", step: steps.FindOld{}},
	)
	plan = append(plan, b.makeImage(ctx, state, clients)...)
	return append(plan,
		planStep{name: "await_source", step: steps.AwaitSource{}},
		planStep{name: "begin_launch_tests", step: steps.BeginLaunchTests{RunTest: b.runLaunchTest, Checks: b.checkLaunch != nil}},
		planStep{name: "distribute", step: steps.Distribute{}},
		planStep{name: "copy_accounts", step: steps.CopyAccounts{}},
		planStep{name: "await_launch_tests", step: steps.AwaitLaunchTests{}},
		planStep{name: "release", releases: true, step: steps.Release{}},
		planStep{name: "replace", releases: true, step: steps.Replace{}},
		planStep{name: "set_parameters", releases: true, step: steps.SetParameters{}},
		planStep{name: "protect", releases: true, step: steps.Protect{}},
		planStep{name: "retire", releases: true, step: steps.Retire{}},
	)
}

// makeImage returns the steps that a resumed build or a copy skips.
func (b *Builder) makeImage(ctx context.Context, state multistep.StateBag, clients *awsclient.Clients) []planStep {
	c := &b.config
	debugFile := ""
	if c.PackerDebug {
		debugFile = fmt.Sprintf("ec2_%s.pem", c.PackerBuildName)
	}
	plan := []planStep{
		{name: "older_builds", step: steps.OlderBuilds{}},
		{name: "network", step: steps.Network{}},
		{name: "caller_address", step: steps.CallerAddress{Ask: b.callerAddress}},
		{name: "key_pair", step: &steps.KeyPair{DebugFile: debugFile}},
		{name: "security_group", step: &steps.SecurityGroup{}},
		{name: "instance_profile", step: &steps.InstanceProfile{}},
		{name: "clean_volumes", step: steps.CleanVolumes{}},
		{name: "arm", step: steps.Arm{}},
	}
	onInstance := append([]planStep{
		{name: "launch", step: steps.Launch{}},
		{name: "check_image", step: steps.CheckImage{}},
	}, b.provision(ctx, state, clients)...)
	for i := range onInstance {
		onInstance[i].makes = true
	}
	if n := c.LaunchRestarts(); n > 0 {
		onInstance = []planStep{restarting(onInstance, n)}
	}
	plan = append(plan, onInstance...)
	plan = append(plan,
		planStep{name: "stop", step: steps.Stop{}},
		planStep{name: "disarm", step: steps.Disarm{}},
	)
	if !c.SkipCreateAMI { // the step modifies the instance, which must be stopped
		plan = append(plan, planStep{name: "modify_ebs_backed_instance", step: &awscommon.StepModifyEBSBackedInstance{
			EnableAMISriovNetSupport: c.AMISriovNetSupport,
			EnableAMIENASupport:      c.AMIENASupport,
		}})
	}
	plan = append(plan,
		planStep{name: "create_image", whole: true, step: steps.CreateImage{}},
		planStep{name: "terminate", whole: true, step: steps.Terminate{}},
	)
	for i := range plan {
		plan[i].makes = true
	}
	return plan
}

// provision returns the steps that log in to the instance.
func (b *Builder) provision(ctx context.Context, state multistep.StateBag, clients *awsclient.Clients) []planStep {
	c := &b.config
	setData := planStep{name: "set_generated_data", step: &awscommon.StepSetGeneratedData{
		GeneratedData: &packerbuilderdata.GeneratedData{State: state},
	}}
	if c.Rehearsal && c.RehearsalInstance == rehearsal.NoInstance {
		return []planStep{{name: "skip_provision", step: steps.SkipProvision{}}, setData}
	}
	return append(login(ctx, c, clients),
		setData,
		planStep{name: "provision", needs: true, step: &commonsteps.StepProvision{}},
		planStep{name: "read_benchmark", step: steps.ReadBenchmark{}},
		planStep{name: "cleanup_temp_keys", step: &commonsteps.StepCleanupTempKeys{Comm: &c.Comm}},
	)
}

// login returns the steps that connect to the instance.
func login(ctx context.Context, c *options.Config, clients *awsclient.Clients) []planStep {
	configured := c.Comm.Host() // the communicator overwrites it
	return []planStep{
		{name: "create_ssm_tunnel", step: &awscommon.StepCreateSSMTunnel{
			AwsConfig: *clients.Config(), Region: clients.Region(),
			PauseBeforeSSM: c.PauseBeforeSSM, LocalPortNumber: c.SessionManagerPort,
			RemotePortNumber: c.Comm.Port(), SSMAgentEnabled: c.SSMAgentEnabled(),
			SSHConfig: &c.Comm.SSH,
		}},
		{name: "connect", needs: true, step: &steps.Connect{Configured: configured, StepConnect: communicator.StepConnect{
			Config: &c.Comm,
			Host: func(state multistep.StateBag) (string, error) {
				// A new function each time: it caches its result, and the instance
				// may have changed (spot_restarts).
				return awscommon.SSHHost(ctx, clients.EC2(clients.Region()), c.SSHInterface, configured)(state)
			},
			SSHPort:   awscommon.Port(c.SSHInterface, c.Comm.Port()),
			SSHConfig: c.Comm.SSHConfigFunc(),
		}}},
	}
}
