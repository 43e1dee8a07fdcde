// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package ami

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// Config is what a `source "ethminer-ami"` block may hold: the options of
// amazon-ebs, spelled the same, and our own.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	ec2api.AccessConfig `mapstructure:",squash"`
	ec2api.AMIConfig    `mapstructure:",squash"`
	awscommon.RunConfig `mapstructure:",squash"`
	LaunchConfig        `mapstructure:",squash"`
	LifetimeConfig      `mapstructure:",squash"`
	ImageConfig         `mapstructure:",squash"`
	DistributionConfig  `mapstructure:",squash"`
	UnsupportedConfig   `mapstructure:",squash"`
	PreflightConfig     `mapstructure:",squash"`

	// The URL that every EC2 call of every region goes to, for AWS
	// look-alikes. The environment variables `AWS_ENDPOINT_URL` and
	// `AWS_ENDPOINT_URL_EC2` do the same. Not set by default.
	Endpoint string `mapstructure:"endpoint" required:"false"`
	// Builds against the AWS inside the plugin instead of a real account: no
	// credentials are read or sent, and no call leaves the loopback interface.
	// Images, ids and durations are simulated; the instance is a real Linux
	// sandbox that one can SSH into. Default `false`.
	Rehearsal bool `mapstructure:"rehearsal" required:"false"`
	// The folder that holds the rehearsal's server, one server a folder.
	// Default `build/rehearsal/state`.
	RehearsalState string `mapstructure:"rehearsal_state" required:"false"`
	// What a rehearsal's instance is: `sandbox` (default), which needs Linux
	// and root, or `none`, which has nothing to log in to: the communicator
	// and the provisioners are then skipped, and the build says so.
	RehearsalInstance string `mapstructure:"rehearsal_instance" required:"false"`
	// How long a rehearsal's AWS takes: `fast` (default, a few seconds),
	// `instant`, or durations such as `running=9s,stopped=13s,image=31s,copy=47s`.
	RehearsalLatency string `mapstructure:"rehearsal_latency" required:"false"`
	// The file of an IAM policy, in JSON: in a rehearsal the build may do what it
	// allows, and is refused the rest as AWS would. Its statements must speak of
	// all resources (`"*"`), and have no condition. By default everything is
	// allowed.
	RehearsalPolicy string `mapstructure:"rehearsal_policy" required:"false"`
	// Packer destroys an artifact when a post-processor fails. By default the
	// images stay, and the commands that remove them are in Packer's log (and
	// printed by `ethminer-cfn`, if it is what failed); `true` deregisters them
	// and deletes their snapshots instead. Default `false`.
	DeregisterOnDestroy bool `mapstructure:"deregister_on_destroy" required:"false"`

	// Stops after provisioning, without an image. Default `false`.
	SkipCreateAMI bool `mapstructure:"skip_create_ami" required:"false"`
	// Keeps `run_tags` off the image and its snapshots. Default `false`.
	SkipAMIRunTags bool `mapstructure:"skip_ami_run_tags" required:"false"`
	// Block devices of the image.
	AMIMappings awscommon.BlockDevices `mapstructure:"ami_block_device_mappings" required:"false"`
	// Block devices of the instance.
	LaunchMappings awscommon.BlockDevices `mapstructure:"launch_block_device_mappings" required:"false"`
	// Tags of the instance's volumes. They are not put on the image.
	VolumeRunTags map[string]string `mapstructure:"run_volume_tags" required:"false"`
	// The same as `run_volume_tags`, as blocks with `name` and `value`.
	VolumeRunTag config.NameValues `mapstructure:"run_volume_tag" required:"false"`

	ctx     interpolate.Context
	buildID string
	attempt string // new for each run, where a resumed build keeps its id

	nameIsDefault bool // the user has set no ami_name
}

// Defaults of a block that only names its region.
const (
	defaultName         = "ethminer-{{timestamp}}"
	defaultInstanceType = "g4dn.xlarge" // the least expensive type with a current NVIDIA GPU (T4)
	defaultSSHUsername  = "ubuntu"
	canonical           = "099720109477" // https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/
	defaultSourceName   = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-%s-server-*"
)

func (c *Config) spec() hcldec.ObjectSpec { return c.FlatMapstructure().HCL2Spec() }

// prepare decodes and checks the configuration, makes no call and writes
// nothing. It returns warnings and every error that it finds.
func (c *Config) prepare(raws ...any) ([]string, error) {
	*c = Config{}
	c.ctx.Funcs = awscommon.TemplateFuncs
	err := config.Decode(c, &config.DecodeOpts{
		PluginType:         BuilderID,
		Interpolate:        true,
		InterpolateContext: &c.ctx,
		InterpolateFilter: &interpolate.RenderFilter{Exclude: []string{
			"ami_description", "fleet_tags", "fleet_tag", "run_tags", "run_tag", "run_volume_tags", "run_volume_tag",
			"spot_tags", "spot_tag", "snapshot_tags", "snapshot_tag", "tags", "tag",
		}},
	}, raws...)
	if err != nil {
		return nil, err
	}
	c.fillUnknown()
	emptyRegions := c.AMIRegions != nil && len(c.AMIRegions) == 0
	if err := c.setDefaults(); err != nil {
		return nil, err
	}

	var errs *packersdk.MultiError
	var warnings []string
	for _, prepare := range []func(*Config) ([]string, []error){
		// Before amazon-ebs's own, which fill in defaults of theirs.
		c.LaunchConfig.prepare, c.LifetimeConfig.prepare, c.ImageConfig.prepare, c.DistributionConfig.prepare, c.UnsupportedConfig.prepare, c.PreflightConfig.prepare,
	} {
		said, found := prepare(c)
		warnings, errs = append(warnings, said...), packersdk.MultiErrorAppend(errs, found...)
	}
	errs = packersdk.MultiErrorAppend(errs, c.checkRegions(emptyRegions)...)
	errs = packersdk.MultiErrorAppend(errs, c.checkRehearsal()...)
	errs = packersdk.MultiErrorAppend(errs, c.checkUnsupported()...)
	errs = packersdk.MultiErrorAppend(errs, c.checkDeprecation(time.Now())...)
	errs = packersdk.MultiErrorAppend(errs, c.VolumeRunTag.CopyOn(&c.VolumeRunTags)...)
	errs = packersdk.MultiErrorAppend(errs, ec2api.Access(&c.AccessConfig).Prepare(&c.PackerConfig)...)
	errs = packersdk.MultiErrorAppend(errs, ec2api.AMI(&c.AMIConfig).Prepare(ec2api.Access(&c.AccessConfig), &c.ctx)...)
	errs = packersdk.MultiErrorAppend(errs, c.AMIMappings.Prepare(&c.ctx)...)
	errs = packersdk.MultiErrorAppend(errs, c.LaunchMappings.Prepare(&c.ctx)...)
	errs = packersdk.MultiErrorAppend(errs, c.RunConfig.Prepare(&c.ctx)...) //nolint:staticcheck // which Prepare is worth a word
	if len(errs.Errors) > 0 {
		return warnings, errs
	}
	packersdk.LogSecretFilter.Set(c.AccessKey, c.SecretKey, c.Token)
	c.RunTags[tags.BuildID] = c.buildID
	c.RunTags[tags.Version] = version.PluginVersion.FormattedVersion()
	return warnings, nil
}

// setDefaults fills in what a block that only names its region leaves open.
func (c *Config) setDefaults() error {
	if c.PackerForce {
		c.AMIForceDeregister = true
	}
	c.attempt = uuid.TimeOrderedUUID()
	if c.buildID = c.BuildID; c.buildID == "" {
		c.buildID = c.attempt
	}
	if c.AMIName == "" {
		c.nameIsDefault = true
		name, err := interpolate.Render(defaultName, &c.ctx)
		if err != nil {
			return fmt.Errorf("rendering the default ami_name: %w", err)
		}
		c.AMIName = name
	}
	c.chooseTypes(c)
	if c.SourceAmi == "" && c.SourceAmiFilter.Empty() {
		arch := "amd64"
		if strings.HasPrefix(c.InstanceType, "g5g.") { // T4G on Graviton
			arch = "arm64"
		}
		c.SourceAmiFilter = awscommon.AmiFilterOptions{
			Filters: map[string]string{
				"name":                fmt.Sprintf(defaultSourceName, arch),
				"root-device-type":    "ebs",
				"virtualization-type": "hvm",
			},
			Owners:     []string{canonical},
			MostRecent: true,
		}
		if c.Comm.SSHUsername == "" {
			c.Comm.SSHUsername = defaultSSHUsername
		}
	}
	if len(c.TemporarySGSourceCidrs) == 0 && c.reachesPublicAddress() {
		// Only the caller's address, where amazon-ebs opens the port to all.
		c.TemporarySGSourcePublicIp = true
	}
	if c.Metadata.HttpTokens == "" {
		c.Metadata.HttpTokens = "required" // IMDSv2, where amazon-ebs allows v1
	}
	if c.Rehearsal {
		if c.RehearsalState == "" {
			c.RehearsalState = rehearsal.DefaultStateDir
		}
		if c.RehearsalInstance == "" {
			c.RehearsalInstance = rehearsal.Sandbox
		}
		// A rehearsal reads no credentials, and Vault would be asked for some.
		c.VaultAWSEngine = awscommon.VaultAWSEngineOptions{}
	}
	return nil
}

// reachesPublicAddress says that SSH goes from the caller's public address
// straight to the instance's: else the instance sees another one.
func (c *Config) reachesPublicAddress() bool {
	switch c.SSHInterface {
	case "", "public_ip", "public_dns":
	default:
		return false
	}
	return (c.Comm.Type == "" || c.Comm.Type == "ssh") && c.Comm.SSHHost == "" && c.Comm.SSHBastionHost == "" && c.Comm.SSHProxyHost == ""
}

func (c *Config) checkRegions(empty bool) []error {
	var errs []error
	if empty {
		errs = append(errs, fmt.Errorf("ami_regions: the list is empty; expected the regions to copy the image to; "+
			"leave the attribute out to keep it in the build's region"))
	}
	if c.RawRegion != "" {
		errs = appendError(errs, preflight.RegionSyntax("region", c.RawRegion))
	} else if c.Rehearsal {
		errs = append(errs, fmt.Errorf("region: not set; a rehearsal does not read AWS_REGION or a profile; "+
			"expected a region such as \"eu-central-1\""))
	}
	for i, region := range c.AMIRegions {
		errs = appendError(errs, preflight.RegionSyntax(fmt.Sprintf("ami_regions[%d]", i), region))
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
		{"ssh_interface", c.SSHInterface == "session_manager"},
	} {
		if option.set {
			errs = append(errs, fmt.Errorf("%s: a rehearsal logs in to its instance directly, on this machine; "+
				"set it to null where rehearsal is true", option.attribute))
		}
	}
	if err := (rehearsal.Options{Instance: c.RehearsalInstance}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("rehearsal_instance: %w", err))
	}
	if err := (rehearsal.Options{Latency: c.RehearsalLatency}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("rehearsal_latency: %w", err))
	}
	if c.RehearsalPolicy != unknownValue {
		if err := (rehearsal.Options{Policy: c.RehearsalPolicy}).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("rehearsal_policy: %w", err))
		}
	}
	return errs
}

func (c *Config) rehearsalOptions() rehearsal.Options {
	return rehearsal.Options{
		StateDir: c.RehearsalState,
		Instance: c.RehearsalInstance,
		Latency:  c.RehearsalLatency,
		Policy:   c.RehearsalPolicy,
	}
}

// latestDeprecation is how far ahead EC2 lets an image be deprecated, in years
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html).
const latestDeprecation = 10

// checkDeprecation says what EC2 would refuse once the image is made.
func (c *Config) checkDeprecation(now time.Time) []error {
	if at := c.deprecateAt(); !at.IsZero() && (at.Before(now) || at.After(now.AddDate(latestDeprecation, 0, 0))) {
		return []error{fmt.Errorf("deprecate_at: %q; expected a time that is to come, in %d years at most, such as %q",
			c.DeprecationTime, latestDeprecation, now.AddDate(0, 6, 0).UTC().Format(time.RFC3339))}
	}
	return nil
}

// checkUnsupported refuses options that would otherwise be ignored silently.
func (c *Config) checkUnsupported() []error {
	var errs []error
	if c.IsSpotInstance() && (c.AMIENASupport.True() || c.AMISriovNetSupport) {
		errs = append(errs, fmt.Errorf("ena_support, sriov_support: a spot instance cannot be modified; "+
			"leave them out, and take a source image that has them"))
	}
	if c.MFACode != "" && c.MFACode != unknownValue {
		errs = append(errs, fmt.Errorf("mfa_code: AWS takes it with the device's serial number only, which no option gives; "+
			"take temporary credentials (aws sts get-session-token --serial-number ... --token-code ...) as access_key, secret_key and token"))
	}
	return errs
}

func appendError(errs []error, err error) []error {
	if err == nil {
		return errs
	}
	return append(errs, err)
}

// deprecateAt is deprecate_at, zero where it is not set. AMIConfig.Prepare has
// checked its syntax.
func (c *Config) deprecateAt() time.Time {
	at, err := time.Parse(time.RFC3339, c.DeprecationTime)
	if err != nil {
		return time.Time{}
	}
	return at
}
