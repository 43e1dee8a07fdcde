// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package cfn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// unknown is what Packer passes, at validate time, for a string that is known
// only once the builder has run.
const unknown = "<unknown>"

// buildRegions in required_regions stands for the regions of the build.
const buildRegions = "build"

var accountID = lazyregexp.New(`^[0-9]{12}$`)

// Config is what a `post-processor "ethminer-cfn"` block takes.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	ec2api.AccessConfig `mapstructure:",squash"`

	// The CloudFormation template whose region map is filled, JSON or YAML.
	// Which of them is told by the content, not by the file's name. It must be
	// there before the build: a wrong path is told before anything is launched.
	Template string `mapstructure:"template" required:"true"`
	// The file to write. Default: `template` itself, edited in place. Its
	// folder is made if need be. An artifact of a rehearsal is only ever written to a
	// file other than `template`.
	Output string `mapstructure:"output"`
	// The name of the region map in the template's section `Mappings`. Default:
	// `AWSRegion2AMI`.
	Mapping string `mapstructure:"mapping"`
	// The name in each region's row that takes the image, letters and digits
	// only. Default: `AMI`.
	Attribute string `mapstructure:"attribute"`
	// The attribute by build name or by architecture (`x86_64`, `arm64`), so
	// that several builds fill one map, such as
	// `{ x86_64 = "HVM64", arm64 = "HVMARM64" }`. A build's name goes before its
	// architecture. What is not listed takes `attribute`, if that is set, else
	// it is an error.
	Attributes map[string]string `mapstructure:"attributes"`
	// The regions that must have an image, for each attribute that this build
	// fills, before anything is written: region names, `rows` for every region
	// that has a row in the map, `build` for every region that the build was to
	// reach. An id that a row has from before counts as an image: set
	// `stale_regions` to `fail` too to demand that this build fills every row.
	// Default: none.
	RequiredRegions []string `mapstructure:"required_regions"`
	// What becomes of rows that this build did not fill: `keep` (default),
	// `fail`, or `remove`. Rows of other partitions (China, GovCloud) and rows
	// not named by a region are never touched.
	StaleRegions string `mapstructure:"stale_regions"`
	// A file written by Packer's `manifest` post-processor. The images of its
	// builds fill the map too, the newest for each cell; this build's own go
	// before them. Give the `manifest` block an `output` of its own for it.
	Manifest string `mapstructure:"manifest"`
	// Ask AWS, before anything is written, whether each image exists in its
	// region, is available, has the architecture that `attributes` says, and
	// can be launched by `launch_accounts`. A pending image is waited for. Takes
	// the permission `ec2:DescribeImages` in every region. Default: `true`.
	VerifyAMIs config.Trilean `mapstructure:"verify_amis"`
	// How long `verify_amis` waits for a pending image, such as `45m`. Default:
	// `30m`.
	VerifyTimeout time.Duration `mapstructure:"verify_timeout"`
	// The ids of the accounts that will launch the images, 12 digits each;
	// `verify_amis` makes sure that they may. Takes the permission
	// `ec2:DescribeImageAttribute`. Default: none.
	LaunchAccounts []string `mapstructure:"launch_accounts"`
	// Print the change as a unified diff and write nothing. Default: `false`.
	DryRun bool `mapstructure:"dry_run"`
	// Where the template is published once it is written. Default: nowhere. See
	// [Publishing](#publishing).
	Publish Publish `mapstructure:"publish"`

	ctx interpolate.Context
}

// prepare decodes and checks the configuration. It reads files, makes no call,
// writes nothing, and collects every error.
func (c *Config) prepare(raws ...interface{}) error {
	err := config.Decode(c, &config.DecodeOpts{
		PluginType:         "ethminer-cfn",
		Interpolate:        true,
		InterpolateContext: &c.ctx,
		InterpolateFilter:  &interpolate.RenderFilter{Exclude: []string{"publish"}}, // {{ .Region }}, one by one
	}, raws...)
	if err != nil {
		return err
	}
	if c.Mapping == "" {
		c.Mapping = "AWSRegion2AMI"
	}
	if c.Attribute == "" && len(c.Attributes) == 0 {
		c.Attribute = "AMI"
	}
	if c.StaleRegions == "" {
		c.StaleRegions = string(cfntemplate.StaleKeep)
	}

	var errs *packersdk.MultiError
	fail := func(format string, args ...any) {
		errs = packersdk.MultiErrorAppend(errs, fmt.Errorf(format, args...))
	}
	if err := cfntemplate.CheckMappingName(c.Mapping); err != nil && c.Mapping != unknown {
		fail("mapping: %w", err)
	}
	if c.Attribute != "" && c.Attribute != unknown {
		if err := cfntemplate.CheckAttribute(c.Attribute); err != nil {
			fail("attribute: %w", err)
		}
	}
	for build, a := range c.Attributes {
		if err := cfntemplate.CheckAttribute(a); err != nil {
			fail("attributes[%q]: %w", build, err)
		}
	}
	for _, r := range c.RequiredRegions {
		if r != cfntemplate.EveryRow && r != buildRegions && !cfntemplate.IsRegion(r) {
			fail("required_regions: %q; expected a region such as us-east-1, or %q, or %q", r, cfntemplate.EveryRow, buildRegions)
		}
	}
	for _, a := range c.LaunchAccounts {
		if !accountID.MatchString(a) {
			fail("launch_accounts: %q; expected the 12 digits of an account's id", a)
		}
	}
	if len(c.LaunchAccounts) > 0 && c.VerifyAMIs.False() {
		fail("launch_accounts: is checked by verify_amis, which is false; set it to true, or leave launch_accounts out")
	}
	if c.VerifyTimeout < 0 {
		fail("verify_timeout: %s; expected a time such as 30m", c.VerifyTimeout)
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		fail("access_key and secret_key: only one of them is set; set both, or neither")
	}
	switch cfntemplate.Stale(c.StaleRegions) {
	case cfntemplate.StaleKeep, cfntemplate.StaleFail, cfntemplate.StaleRemove:
	default:
		fail("stale_regions: %q; expected keep, fail or remove", c.StaleRegions)
	}
	if c.Publish.StackSet.set() && c.Publish.StackSet.AdminRegion == "" {
		c.Publish.StackSet.AdminRegion = c.RawRegion
	}
	c.Publish.prepare(fail)
	if c.Template == "" {
		fail("template: not set; expected the path of the CloudFormation template whose map is to be filled")
	} else if err := c.checkTemplate(); err != nil {
		fail("template: %w", err)
	}
	if errs != nil {
		return errs
	}
	return nil
}

// checkTemplate reads the template and looks for the map: what is wrong there
// would else cost a build.
func (c *Config) checkTemplate() error {
	if c.Template == unknown {
		return nil
	}
	src, err := os.ReadFile(c.Template)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q: no such file; expected the CloudFormation template whose map is to be filled; a relative path counts from where packer runs, so write ${path.root}/... for one beside the configuration", c.Template)
	}
	if err != nil {
		return err
	}
	if c.Publish.set() && len(src) > publish.MaxTemplate {
		return fmt.Errorf("%q has %d bytes; CloudFormation takes at most %d by URL, as publish gives it: split it into nested stacks", c.Template, len(src), publish.MaxTemplate)
	}
	t, err := cfntemplate.Parse(c.Template, src)
	if err != nil {
		return err
	}
	if c.Mapping == unknown {
		return nil
	}
	_, err = t.Mapping(c.Mapping)
	return err
}

// target is the file to write.
func (c *Config) target() string {
	if c.Output == "" {
		return filepath.Clean(c.Template)
	}
	return filepath.Clean(c.Output)
}

// inPlace says whether the template itself is the file to write, by whatever
// name or link.
func (c *Config) inPlace() (bool, error) {
	return atomicfile.Same(c.Template, c.target())
}
