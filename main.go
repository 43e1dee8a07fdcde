// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command packer-plugin-ethminer builds, verifies and distributes GPU mining images.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami"
	"github.com/eth-mining/packer-plugin-ethminer/datasource/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/command"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
	"github.com/eth-mining/packer-plugin-ethminer/post-processor/cfn"
	"github.com/eth-mining/packer-plugin-ethminer/post-processor/report"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

func main() {
	if command.Handles(os.Args[1:]) {
		command.TestImages = ami.TestImages
		os.Exit(command.Main(os.Args[1:]))
	}
	log.SetOutput(redact.Writer{To: os.Stderr})
	set := plugin.NewSet()
	set.RegisterBuilder("ami", new(ami.Builder))
	set.RegisterProvisioner("gpu", new(gpu.Provisioner))
	set.RegisterPostProcessor("cfn", new(cfn.PostProcessor))
	set.RegisterPostProcessor("report", new(report.PostProcessor))
	set.RegisterDatasource("instance", new(instance.Datasource))
	set.SetVersion(version.PluginVersion)
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
