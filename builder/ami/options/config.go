// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

// Package options holds the options of the builder ethminer-ami: their documentation,
// which is generated from the comments, their defaults and checks, and what they mean
// for the requests of a build. A file holds the options of one topic.
package options

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hcldecode"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// Config holds the options of a `source "ethminer-ami"` block: those of
// amazon-ebs under the same names, and the plugin's own.
type Config struct {
	common.PackerConfig    `mapstructure:",squash"`
	awsclient.AccessConfig `mapstructure:",squash"`
	awsclient.AMIConfig    `mapstructure:",squash"`
	awscommon.RunConfig    `mapstructure:",squash"`
	LaunchConfig           `mapstructure:",squash"`
	LifetimeConfig         `mapstructure:",squash"`
	ImageConfig            `mapstructure:",squash"`
	DistributionConfig     `mapstructure:",squash"`
	UnsupportedConfig      `mapstructure:",squash"`
	PreflightConfig        `mapstructure:",squash"`

	// The URL to send all EC2 requests of all regions to, for endpoints
	// compatible with EC2. The environment variables `AWS_ENDPOINT_URL` and
	// `AWS_ENDPOINT_URL_EC2` have the same effect. Not set by default.
	Endpoint string `mapstructure:"endpoint" required:"false"`
	// Builds against an AWS simulator inside the plugin instead of a real
	// account. No credentials are read or sent, and no request leaves the
	// loopback interface. Images, ids and durations are simulated; the instance
	// is a Linux system of its own with systemd, SSH and cloud-init. Default
	// `false`.
	Rehearsal bool `mapstructure:"rehearsal" required:"false"`
	// The directory of the rehearsal server's state. Each directory has its own
	// server. Default `build/rehearsal/state`.
	RehearsalState string `mapstructure:"rehearsal_state" required:"false"`
	// The kind of instance in a rehearsal: `sandbox` (default), which requires
	// Linux and root, or `none`. With `none` there is no instance to log in to;
	// the build skips the communicator and the provisioners, and says so.
	RehearsalInstance string `mapstructure:"rehearsal_instance" required:"false"`
	// What the instances of a rehearsal are made from: `host` (default, an
	// overlay of the system that runs the rehearsal), `debian:12`, `debian:13`,
	// `ubuntu:22.04` or `ubuntu:24.04`. A distribution is downloaded once, about
	// 100 MB.
	RehearsalBase string `mapstructure:"rehearsal_base" required:"false"`
	// The simulated latency of AWS in a rehearsal: `fast` (default, a few
	// seconds), `instant`, or durations such as
	// `running=9s,stopped=13s,image=31s,copy=47s`.
	RehearsalLatency string `mapstructure:"rehearsal_latency" required:"false"`
	// The path of an IAM policy in JSON. The rehearsal allows only the actions
	// that the policy allows, and denies all others as AWS does. Statements must
	// apply to all resources (`"*"`); conditions on tags are supported for the
	// actions that change resources of EC2. By default all actions are allowed.
	RehearsalPolicy string `mapstructure:"rehearsal_policy" required:"false"`
	// Packer destroys the artifact after the post-processors, unless the first
	// one of at least one sequence has succeeded and kept its input, as
	// `ethminer-cfn`, `ethminer-report` and `manifest` do. If `false` (default),
	// the images are kept, and the commands that delete them are in Packer's log
	// (`ethminer-cfn` also prints them if it fails). If `true`, the images are
	// deregistered and their snapshots deleted.
	DeregisterOnDestroy bool `mapstructure:"deregister_on_destroy" required:"false"`

	// The options of the post-processor [`ethminer-cfn`](/packer/integrations/eth-mining/ethminer/latest/components/post-processor/cfn)
	// of this build, as JSON. Packer does not pass a builder the options of its
	// post-processors. With this option the preflight checks them before the
	// launch: the template, its map and `required_regions`, the output file, and
	// the buckets, parameters and stack set of `publish`. Define the options once,
	// as a local: `ethminer_cfn = jsonencode(local.cfn)` here and
	// `settings = jsonencode(local.cfn)` in the post-processor, which reports any
	// difference. Not set by default.
	EthminerCFN cfnsettings.Settings `mapstructure:"ethminer_cfn" required:"false"`

	// Tests the finished image: an instance is launched from it, and checked, while the
	// image is copied (see [Launch test](#launch-test)). The images are shared,
	// released and replaced, older ones retired, and parameters set, only after the
	// verdict. By default no test is made.
	LaunchTest *LaunchTestConfig `mapstructure:"launch_test" required:"false"`
	// The action to take when a launch test fails. `rollback` (default) deletes all
	// images of the build and fails the build. `keep` keeps the images, which are not
	// released: they are tagged as failed, are not shared, and replace nothing. The
	// build then succeeds, and `ethminer-cfn` neither writes nor publishes its template.
	OnLaunchTestFailure string `mapstructure:"on_launch_test_failure" required:"false"`

	// Ends the build after provisioning, without creating an image. Default
	// `false`.
	SkipCreateAMI bool `mapstructure:"skip_create_ami" required:"false"`
	// Does not copy `run_tags` to the image and its snapshots. Default `false`.
	SkipAMIRunTags bool `mapstructure:"skip_ami_run_tags" required:"false"`
	// Block devices of the image.
	AMIMappings awscommon.BlockDevices `mapstructure:"ami_block_device_mappings" required:"false"`
	// Block devices of the instance.
	LaunchMappings awscommon.BlockDevices `mapstructure:"launch_block_device_mappings" required:"false"`
	// Tags of the instance's volumes. They are not applied to the image.
	VolumeRunTags map[string]string `mapstructure:"run_volume_tags" required:"false"`
	// The same as `run_volume_tags`, as blocks with `name` and `value`.
	VolumeRunTag config.NameValues `mapstructure:"run_volume_tag" required:"false"`

	ctx     interpolate.Context
	buildID string
	attempt string // new for each run; a resumed build keeps its build id

	nameIsDefault bool // the user has set no ami_name
	defaultFamily string

	sourceIsDefault bool // the user has set no source_ami or source_ami_filter
	publishes       bool // ethminer_cfn is set

	limits     *launch.Limits // of the build whose image is tested; nil for its own
	emptyLists []error
}

// Defaults of a block that sets only its region.
const (
	defaultInstanceType = "g4dn.xlarge" // the least expensive type with a current NVIDIA GPU (T4)
	defaultSSHUsername  = "ubuntu"
	defaultSourceName   = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-%s-server-*"
)

// Spec returns the HCL2 schema of the source block.
func (c *Config) Spec() hcldec.ObjectSpec {
	return cfnsettings.WithJSON(c.FlatMapstructure().HCL2Spec(), cfnsettings.OfBuilder)
}

// Prepare decodes and checks the configuration without requests or writes. It
// returns the warnings and all errors.
func (c *Config) Prepare(raws ...any) ([]string, error) {
	*c = Config{}
	raws, later, err := cfnsettings.Split(raws, cfnsettings.OfBuilder)
	if err != nil {
		return nil, err
	}
	if later != nil {
		raws = append(raws, map[string]any{cfnsettings.OfBuilder: later})
	}
	// Not &c.ctx: Decode zeroes its HCL target, and with it the functions.
	ctx := interpolate.Context{Funcs: awscommon.TemplateFuncs}
	durations, err := hcldecode.Decode(c, &config.DecodeOpts{
		PluginType:         artifact.BuilderID,
		Interpolate:        true,
		InterpolateContext: &ctx,
		InterpolateFilter: &interpolate.RenderFilter{Exclude: []string{
			"ami_description", "fleet_tags", "fleet_tag", "run_tags", "run_tag", "run_volume_tags", "run_volume_tag",
			"spot_tags", "spot_tag", "snapshot_tags", "snapshot_tag", "tags", "tag", "ami_accounts", cfnsettings.OfBuilder,
		}},
	}, raws...)
	if err != nil {
		return nil, err
	}
	c.ctx = ctx
	c.publishes = later != nil // after Decode, which resets Config
	c.fillUnknown()
	errs := packersdk.MultiErrorAppend(nil, durations...)
	errs = packersdk.MultiErrorAppend(errs, c.checkLists()...)
	c.setDefaults()

	var warnings []string
	for _, prepare := range []func(*Config) ([]string, []error){
		// Before amazon-ebs's checks, which set their own defaults.
		c.LaunchConfig.prepare, c.LifetimeConfig.prepare, c.ImageConfig.prepare, c.DistributionConfig.prepare, c.UnsupportedConfig.prepare, c.PreflightConfig.prepare,
	} {
		notes, found := prepare(c)
		warnings, errs = append(warnings, notes...), packersdk.MultiErrorAppend(errs, found...)
	}
	errs = packersdk.MultiErrorAppend(errs, c.checkRegions()...)
	if c.RawRegion != "" {
		warnings = append(warnings, c.CheckOwners(c.RawRegion)...)
	}
	errs = packersdk.MultiErrorAppend(errs, c.prepareLaunchTest()...)
	errs = packersdk.MultiErrorAppend(errs, c.checkRehearsal()...)
	errs = packersdk.MultiErrorAppend(errs, c.checkPublishing()...)
	errs = packersdk.MultiErrorAppend(errs, c.checkUnsupported()...)
	errs = packersdk.MultiErrorAppend(errs, c.checkDeprecation(time.Now())...)
	errs = packersdk.MultiErrorAppend(errs, c.VolumeRunTag.CopyOn(&c.VolumeRunTags)...)
	errs = packersdk.MultiErrorAppend(errs, awsclient.Prepare(&c.AccessConfig, &c.PackerConfig)...)
	errs = packersdk.MultiErrorAppend(errs, c.checkIDs()...)
	errs = packersdk.MultiErrorAppend(errs, c.prepareAMI()...)
	for _, list := range c.deviceLists() {
		said, found := c.checkDevices(list.attribute, list.devices)
		warnings, errs = append(warnings, said...), packersdk.MultiErrorAppend(errs, found...)
	}
	errs = packersdk.MultiErrorAppend(errs, c.checkCommunicator()...)
	errs = packersdk.MultiErrorAppend(errs, c.RunConfig.Prepare(&c.ctx)...) //nolint:staticcheck // which Prepare is worth a word
	said, found := c.checkPolling()
	warnings, errs = append(warnings, said...), packersdk.MultiErrorAppend(errs, found...)
	said, found = c.checkTags()
	warnings, errs = append(warnings, said...), packersdk.MultiErrorAppend(errs, found...)
	if len(errs.Errors) > 0 {
		return warnings, errs
	}
	redact.Add(c.SecretKey, c.Token, c.Comm.SSHPassword, c.Comm.SSHBastionPassword, c.Comm.SSHProxyPassword, c.Comm.WinRMPassword)
	if c.LaunchTest != nil {
		redact.Add(c.LaunchTest.PoolCheck.Secrets()...)
	}
	c.RunTags[tags.BuildID] = c.buildID
	c.RunTags[tags.Version] = version.PluginVersion.FormattedVersion()
	return warnings, nil
}

// setDefaults sets the defaults of the options that are not set.
func (c *Config) setDefaults() {
	if c.PackerForce {
		c.AMIForceDeregister = true
	}
	c.attempt = uuid.TimeOrderedUUID()
	if c.buildID = c.BuildID; c.buildID == "" {
		c.buildID = c.attempt
	}
	if c.AMIName == "" {
		c.nameIsDefault = true
		c.AMIName, c.defaultFamily = c.defaultName(time.Now())
	}
	c.chooseTypes(c)
	if c.SourceAmi == "" && c.SourceAmiFilter.Empty() {
		arch := "amd64"
		if strings.HasPrefix(c.InstanceType, "g5g.") { // T4G on Graviton
			arch = "arm64"
		}
		c.sourceIsDefault = true
		c.SourceAmiFilter = awscommon.AmiFilterOptions{
			Filters: map[string]string{
				"name":                fmt.Sprintf(defaultSourceName, arch),
				"root-device-type":    "ebs",
				"virtualization-type": "hvm",
			},
			Owners:     []string{canonicalIn(c.RawRegion)},
			MostRecent: true,
		}
		if c.Comm.SSHUsername == "" {
			c.Comm.SSHUsername = defaultSSHUsername
		}
	}
	if len(c.TemporarySGSourceCidrs) == 0 && c.reachesPublicAddress() {
		// amazon-ebs opens the port to all addresses by default.
		c.TemporarySGSourcePublicIp = true
	}
	if c.Metadata.HttpTokens == "" {
		c.Metadata.HttpTokens = "required" // IMDSv2; amazon-ebs allows v1 by default
	}
	if c.Rehearsal {
		if c.RehearsalState == "" {
			c.RehearsalState = rehearsal.DefaultStateDir
		}
		if c.RehearsalInstance == "" {
			c.RehearsalInstance = rehearsal.Sandbox
		}
		// A rehearsal must not request credentials from Vault.
		c.VaultAWSEngine = awscommon.VaultAWSEngineOptions{}
	}
}

// reachesPublicAddress reports whether SSH connects directly from the caller's
// public address to the instance. Otherwise the instance sees another address.
func (c *Config) reachesPublicAddress() bool {
	switch c.SSHInterface {
	case "", "public_ip", "public_dns":
	default:
		return false
	}
	if c.AssociatePublicIpAddress.False() && c.SSHInterface == "" {
		return false // Packer connects to the private address
	}
	return (c.Comm.Type == "" || c.Comm.Type == "ssh") && c.Comm.SSHHost == "" && c.Comm.SSHBastionHost == "" && c.Comm.SSHProxyHost == ""
}

func (c *Config) checkRegions() []error {
	var errs []error
	if c.RawRegion != "" {
		errs = appendError(errs, region.Check("region", c.RawRegion))
	} else if c.Rehearsal {
		errs = append(errs, fmt.Errorf("region: not set, want a region such as \"eu-central-1\"; "+
			"a rehearsal does not read AWS_REGION or a profile"))
	}
	for i, name := range c.AMIRegions {
		errs = appendError(errs, region.Check(fmt.Sprintf("ami_regions[%d]", i), name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.AMIRegionKMSKeyIDs)) {
		errs = appendError(errs, region.Check(fmt.Sprintf("region_kms_key_ids[%q]", name), name))
	}
	return errs
}

func (c *Config) checkRehearsal() []error {
	if !c.Rehearsal {
		return nil
	}
	var errs []error
	// These would leave the loopback interface.
	for _, option := range []struct {
		attribute string
		set       bool
	}{
		{"ssh_host", c.Comm.SSHHost != ""},
		{"ssh_bastion_host", c.Comm.SSHBastionHost != ""},
		{"ssh_proxy_host", c.Comm.SSHProxyHost != ""},
		{"ssh_local_tunnels", len(c.Comm.SSHLocalTunnels) > 0},
		{"ssh_remote_tunnels", len(c.Comm.SSHRemoteTunnels) > 0},
	} {
		if option.set {
			errs = append(errs, fmt.Errorf("%s: not supported in a rehearsal, which connects directly to an instance on this machine; "+
				"set it to null if rehearsal is true", option.attribute))
		}
	}
	if err := (rehearsal.Options{Instance: c.RehearsalInstance}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("rehearsal_instance: %w", err))
	}
	if err := (rehearsal.Options{Base: c.RehearsalBase}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("rehearsal_base: %w", err))
	}
	if err := (rehearsal.Options{Latency: c.RehearsalLatency}).Validate(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			errs = append(errs, fmt.Errorf("rehearsal_latency: %s", line))
		}
	}
	if c.RehearsalPolicy != hclvalue.Unknown {
		if err := (rehearsal.Options{Policy: c.RehearsalPolicy}).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("rehearsal_policy: %w", err))
		}
	}
	return errs
}

// RehearsalOptions returns the options that select the rehearsal.
func (c *Config) RehearsalOptions() rehearsal.Options {
	return rehearsal.Options{
		StateDir: c.RehearsalState,
		Instance: c.RehearsalInstance,
		Base:     c.RehearsalBase,
		Latency:  c.RehearsalLatency,
		Policy:   c.RehearsalPolicy,
	}
}

// latestDeprecation is EC2's limit for deprecation dates, in years from now
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html).
const latestDeprecation = 10

// checkPolling refuses negative numbers, and warns of a poll interval that slows the
// build down.
func (c *Config) checkPolling() (warnings []string, errs []error) {
	if p := c.PollingConfig; p != nil {
		for _, option := range []struct {
			attribute, what string
			value           int
		}{{"delay_seconds", "seconds", p.DelaySeconds}, {"max_attempts", "attempts", p.MaxAttempts}} {
			if option.value < 0 {
				errs = append(errs, fmt.Errorf("aws_polling.%s: got %d, want a number of %s, or 0 for the default", option.attribute, option.value, option.what))
			}
		}
	}
	if delay, _ := c.polling(); delay > pollInterval {
		warnings = append(warnings, fmt.Sprintf("aws_polling.delay_seconds: got %.0f (or AWS_POLL_DELAY_SECONDS), so the build polls at a fixed interval of %s; "+
			"each wait, and the instance's running time, can be longer by one interval; remove it to poll adaptively", delay.Seconds(), delay))
	}
	return warnings, errs
}

// checkDeprecation refuses dates that EC2 would refuse after the image is created.
func (c *Config) checkDeprecation(now time.Time) []error {
	if at := c.DeprecateAt(); !at.IsZero() && (at.Before(now) || at.After(now.AddDate(latestDeprecation, 0, 0))) {
		return []error{fmt.Errorf("deprecate_at: got %q, want a time in the future, at most %d years from now, such as %q",
			c.DeprecationTime, latestDeprecation, now.AddDate(0, 6, 0).UTC().Format(time.RFC3339))}
	}
	return nil
}

// checkUnsupported refuses options that would otherwise be ignored silently.
func (c *Config) checkUnsupported() []error {
	var errs []error
	if c.IsSpotInstance() && (c.AMIENASupport.True() || c.AMISriovNetSupport) {
		errs = append(errs, fmt.Errorf("ena_support, sriov_support: a spot instance cannot be modified; "+
			"remove them, and use a source image that supports them"))
	}
	if c.MFACode != "" && c.MFACode != hclvalue.Unknown {
		errs = append(errs, fmt.Errorf("mfa_code: not supported, as AWS also requires the serial number of the device; "+
			"set access_key, secret_key and token to temporary credentials (aws sts get-session-token --serial-number ... --token-code ...)"))
	}
	return errs
}

func appendError(errs []error, err error) []error {
	if err == nil {
		return errs
	}
	return append(errs, err)
}

// DeprecateAt returns deprecate_at, or zero if it is not set. prepareAMI has
// checked its syntax.
func (c *Config) DeprecateAt() time.Time {
	at, err := time.Parse(time.RFC3339, c.DeprecationTime)
	if err != nil {
		return time.Time{}
	}
	return at
}

// ID returns the id of the build: build_id, or a new one.
func (c *Config) ID() string { return c.buildID }

// Interpolation returns the context that renders tags.
func (c *Config) Interpolation() interpolate.Context { return c.ctx }

// Publishing reports whether ethminer_cfn is set.
func (c *Config) Publishing() bool { return c.publishes }

// TakeName uses the name of the image to copy, unless ami_name is set.
func (c *Config) TakeName(name string) {
	if c.nameIsDefault {
		c.AMIName, c.defaultFamily = name, ""
	}
}

// SettleSource adapts the default source image to the build's region, which may be
// from a profile.
func (c *Config) SettleSource(region string) {
	if c.sourceIsDefault {
		c.SourceAmiFilter.Owners = []string{canonicalIn(region)}
	}
}
