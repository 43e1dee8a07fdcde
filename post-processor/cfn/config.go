// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package cfn

import (
	"fmt"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hcldecode"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// Config is the configuration of a `post-processor "ethminer-cfn"` block.
type Config struct {
	common.PackerConfig    `mapstructure:",squash"`
	awsclient.AccessConfig `mapstructure:",squash"`
	cfnsettings.Settings   `mapstructure:",squash"`

	ctx interpolate.Context
}

// prepare decodes and checks the configuration. It reads files, makes no AWS
// calls, writes nothing and collects all errors.
func (c *Config) prepare(raws ...interface{}) error {
	raws, err := cfnsettings.Inline(raws)
	if err != nil {
		return err
	}
	durations, err := hcldecode.Decode(c, &config.DecodeOpts{
		PluginType:         "ethminer-cfn",
		Interpolate:        true,
		InterpolateContext: &c.ctx,
		InterpolateFilter:  &interpolate.RenderFilter{Exclude: []string{"publish"}}, // {{ .Region }} is rendered per region
	}, raws...)
	if err != nil {
		return err
	}
	errs := packersdk.MultiErrorAppend(nil, durations...)
	fail := func(format string, args ...any) {
		errs = packersdk.MultiErrorAppend(errs, fmt.Errorf(format, args...))
	}
	if c.Publish.StackSet.IsSet() && c.Publish.StackSet.AdminRegion == "" {
		c.Publish.StackSet.AdminRegion = c.RawRegion
	}
	c.Prepare(c.PackerBuildName, fail)
	c.checkBuilder(fail)
	if (c.AccessKey == "") != (c.SecretKey == "") {
		fail("access_key and secret_key: only one of them is set; set both, or neither")
	}
	if len(errs.Errors) > 0 {
		return errs
	}
	redact.Add(c.SecretKey, c.Token)
	return nil
}

// imageless matches builders that never create AMIs.
var imageless = lazyregexp.New(`^(null|file|amazon-ebsvolume|docker|lxc|lxd|vagrant|qemu|hyperv-.*|parallels-.*|virtualbox-.*|vmware-.*|vsphere-.*|proxmox-.*|azure-.*|googlecompute|digitalocean|hcloud|linode|openstack|oracle-.*|alicloud-.*|scaleway|vultr)$`)

// checkBuilder rejects builders that create no AMIs. Packer does not report the
// post-processors before this one, so they cannot be checked.
func (c *Config) checkBuilder(fail func(format string, args ...any)) {
	if c.Manifest == "" && imageless.MatchString(c.PackerBuilderType) {
		fail("template: the builder %s creates no AMIs; expected one of ethminer-ami, amazon-ebs, amazon-ebssurrogate, amazon-instance or amazon-import, or set manifest", c.PackerBuilderType)
	}
}
